#!/bin/sh
# Runs the service under a real systemd: installs it, chats through it, crashes, hangs and misconfigures it, and removes it again.
#
#   sudo tools/test_service.sh [--quick]
#
# --quick: without waiting for the watchdog. Exit code 77: this system does not allow it (the reason is on standard error).
# systemd is the first process of namespaces of its own, on a copy-on-write view of this system: nothing outside changes, and all of it is
# gone at the end. About two minutes, quick: one. Needs: root, systemd 247 or later with cgroup v2, overlayfs, iproute2, python3-venv.
# shellcheck disable=SC2317 # the checks are called by their names
set -eu
umask 022 # the caller's may hide the root of the view, and what is installed in it, from the service's user

cannot() {
    echo "test_service.sh: $*" >&2
    exit 77
}
[ "$(id -u)" -eq 0 ] || cannot "needs root, for namespaces and mounts: sudo $0"
for tool in systemctl systemd-analyze unshare nsenter ip setpriv; do
    command -v $tool >/dev/null || cannot "$tool is missing: apt install systemd util-linux iproute2"
done
[ -x /lib/systemd/systemd ] || cannot "systemd is missing: apt install systemd"
source=$(cd "$(dirname "$0")/.." && pwd)

# --- outside: one mount namespace with the view, systemd below it ---

case ${1:-} in
"" | --quick)
    work=$(mktemp -d)
    trap 'rmdir "$work"' EXIT
    unshare --mount true 2>/dev/null || cannot "this system allows no mount namespace"
    status=0
    unshare --mount --propagation private -- "$0" view "$work" "$@" || status=$?
    exit $status
    ;;
view)
    work=$2
    mount -t tmpfs none "$work"
    mkdir "$work/upper" "$work/work" "$work/system"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/system" || cannot "no overlay of / here"
    cd "$work/system"
    mount --rbind /dev dev
    mkdir -p opt source
    mount --bind "$source" source
    echo "install lanying in /opt/lanying"
    mount -t tmpfs none tmp
    chroot . /usr/bin/python3 -m venv /opt/lanying
    chroot . /opt/lanying/bin/pip install --quiet --disable-pip-version-check /source
    unshare --pid --net --uts --ipc --cgroup --mount --fork --kill-child -- "$source/tools/test_service.sh" boot "$work/system" 2>"$work/boot" &
    namespaces=$!
    # systemd is the only child of the unshare above, once that has execed.
    until boot=$(pgrep -P $namespaces -f lib/systemd/systemd); do
        kill -0 $namespaces 2>/dev/null || cannot "systemd does not start here: $(cat "$work/boot")"
        sleep 0.1
    done
    status=0
    nsenter --target "$boot" --all -- /source/tools/test_service.sh inside "${3:-}" || status=$?
    kill -KILL "$boot"
    wait $namespaces 2>/dev/null || true
    exit $status
    ;;
boot)
    cd "$2"
    mount -t proc none proc
    mount -t sysfs none sys
    mount -t cgroup2 none sys/fs/cgroup || exit 77
    mount -t tmpfs none run
    mount -t tmpfs none var/log
    mkdir -p run/old
    pivot_root . run/old
    umount --lazy run/old
    ip link set lo up
    export container=lanying-test
    # The rest of this machine's services are not wanted.
    exec /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no
    ;;
inside) ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

# --- inside: systemd is process 1 ---

failed=0

# ok NAME COMMAND…: whether the command succeeds, in words.
ok() {
    name=$1
    shift
    if "$@" >/run/last 2>&1; then
        echo "ok    $name"
    else
        echo "FAILED $name: $*"
        sed 's/^/      /' /run/last
        journalctl --no-pager --lines 20 --unit lanying 2>/dev/null | sed 's/^/      /'
        failed=1
    fi
}
# until_so SECONDS COMMAND…: wait for a condition.
until_so() {
    tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}
property() { systemctl show --property "$1" --value lanying; }
is() { [ "$(property "$1")" = "$2" ]; }
as_service() { setpriv --reuid lanying --regid lanying --clear-groups -- "$@"; }
serves() { is ActiveState active && as_service /opt/lanying/bin/lanying-cluster status --data /var/lib/lanying; }
chats() { /opt/lanying/bin/python /source/docs/try_it.py; }
another_main() { [ "$(property MainPID)" -gt 0 ] && ! is MainPID "$before" && serves; }
# pinned: every shard may run on one core only.
pinned() {
    shards=$(pgrep -u lanying -f 'lanying: shard')
    for shard in $shards; do
        grep -q '^Cpus_allowed_list:[[:space:]]*[0-9]*$' "/proc/$shard/status" || return 1
    done
    [ -n "$shards" ]
}
# confined PATH: the service's processes cannot write there.
confined() { ! nsenter --target "$(property MainPID)" --mount -- touch "$1"; }
rated() {
    rating=$(systemd-analyze security --no-pager lanying | sed -n 's/.*Overall exposure level[^0-9]*\([0-9.]*\).*/\1/p')
    echo "systemd-analyze security: $rating"
    awk "BEGIN { exit !($rating < 2) }"
}
gone() { ! systemctl cat lanying && [ -d /var/lib/lanying ] && [ -e /etc/lanying/lanying.toml ]; }

until_so 60 systemctl is-active basic.target || echo "systemd is not up: $(systemctl is-system-running)"
ok "install-service" /opt/lanying/bin/lanying-cluster install-service --listen 127.0.0.1:8480
ok "systemctl enable --now returns when it is ready" systemctl enable --now lanying
ok "runs as its own user" is User lanying
ok "serves" serves
[ $failed -eq 0 ] || exit 1
sed -i 's/open_registration = false/open_registration = true/' /etc/lanying/lanying.toml
ok "systemctl restart" systemctl restart lanying
ok "two users chat" chats
before=$(property MainPID)
ok "lanying-cluster restart" as_service /opt/lanying/bin/lanying-cluster restart --data /var/lib/lanying
ok "is the same process to systemd" is MainPID "$before"
ok "lanying-admin shards move" as_service /opt/lanying/bin/lanying-admin --data /var/lib/lanying shards move --slots 0-99 --to 1 --yes
ok "is active, the same process still" serves
ok "two users chat" chats
ok "shards are pinned under the system call filter" pinned
ok "cannot write /etc" confined /etc/lanying/written
ok "cannot write /usr" confined /usr/written
ok "rated below 2 of 10" rated
sed 's/^/      /' /run/last
before=$(property MainPID)
kill -KILL "$before"
ok "kill -9: started again by systemd" until_so 60 another_main
ok "two users chat" chats
if [ "${2:-}" != --quick ]; then
    before=$(property MainPID)
    kill -STOP "$before"
    ok "hung: the watchdog ends it and it is started again" until_so 120 another_main
    ok "watchdog named as the reason" sh -c 'journalctl --no-pager --unit lanying | grep -i "watchdog timeout"'
    ok "two users chat" chats
fi
ok "systemctl stop drains" systemctl stop lanying
ok "stopped without a failure" is Result success
echo 'no_such_setting = 1' >/etc/lanying/wrong.toml
cp /etc/lanying/lanying.toml /etc/lanying/right.toml
cp /etc/lanying/wrong.toml /etc/lanying/lanying.toml
systemctl start lanying 2>/dev/null || true
ok "a wrong configuration is not tried again" until_so 20 is SubState failed
ok "and says what is wrong" sh -c 'journalctl --no-pager --unit lanying | grep "unknown key no_such_setting"'
cp /etc/lanying/right.toml /etc/lanying/lanying.toml
ok "starts when it is right again" systemctl start lanying
ok "uninstall-service" /opt/lanying/bin/lanying-cluster uninstall-service
ok "the unit is gone, data and configuration stay" gone
exit $failed
