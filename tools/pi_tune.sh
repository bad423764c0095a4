#!/usr/bin/env bash
# Shows the kernel and descriptor limits a server wants, against what the machine has; with --apply (as root) sets them for good.
#
#   tools/pi_tune.sh [--connections N] [--apply]
set -euo pipefail

connections=10000
apply=false
while (($#)); do
    case $1 in
        --connections)
            connections=${2:?--connections takes a number}
            shift
            ;;
        --apply) apply=true ;;
        *)
            sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
            exit 2
            ;;
    esac
    shift
done
[[ $connections =~ ^[1-9][0-9]*$ ]] || {
    echo "--connections takes a number, not $connections" >&2
    exit 2
}

# What lanying-cluster asks of each process: see RESERVED_DESCRIPTORS and LISTEN_BACKLOG in lanying/limits.py.
descriptors=$((connections + 1024))
declare -A wanted=([net.core.somaxconn]=4096 [net.ipv4.tcp_max_syn_backlog]=4096)

hard=$(ulimit -Hn)
enough=$([[ $hard == unlimited || $hard -ge $descriptors ]] && echo ok || echo "too low")
printf '%-32s has %-12s wants %-8s %s\n' "open files per process" "$hard" "$descriptors" "$enough"
for key in "${!wanted[@]}"; do
    has=$(cat "/proc/sys/${key//.//}" 2>/dev/null || echo 0)
    enough=$([[ $has -ge ${wanted[$key]} ]] && echo ok || echo "too low")
    printf '%-32s has %-12s wants %-8s %s\n' "$key" "$has" "${wanted[$key]}" "$enough"
done

if ! $apply; then
    echo "run it with --apply as root to set them"
    exit 0
fi
((EUID == 0)) || {
    echo "--apply needs root: sudo $0 --apply" >&2
    exit 1
}
printf '* soft nofile %s\n* hard nofile %s\nroot soft nofile %s\nroot hard nofile %s\n' \
    "$descriptors" "$descriptors" "$descriptors" "$descriptors" >/etc/security/limits.d/90-lanying.conf
for key in "${!wanted[@]}"; do
    has=$(cat "/proc/sys/${key//.//}" 2>/dev/null || echo 0)
    # Never lower what somebody raised.
    echo "$key = $((has > wanted[$key] ? has : wanted[$key]))"
done >/etc/sysctl.d/90-lanying.conf
sysctl --quiet --load /etc/sysctl.d/90-lanying.conf
echo "written: /etc/security/limits.d/90-lanying.conf (from the next login on), /etc/sysctl.d/90-lanying.conf (now)"
echo "a systemd service takes its limit from LimitNOFILE=$descriptors in its unit instead"
