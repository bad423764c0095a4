#!/bin/sh
# Tunes a Raspberry Pi (or another Linux machine) for a lanying server; the knobs and their reasons are in pi-tuning/.
#
#   tools/pi_tune.sh [--check | --apply | --revert] [--dry-run] [--profile NAME] [--connections N] [--data DIR] [--root DIR]
#
#   --check        (default) changes nothing: what every knob is, what it should be, and why; exit code 1 when something differs
#   --apply        sets what differs, for now and for the next boots, and remembers how it was
#   --revert       puts back what --apply has changed, and nothing else
#   --dry-run      with --apply or --revert: only says what would be done
#   --profile      pi3, pi4, pi5, zero2w or generic (default: the board this is)
#   --connections  clients at once, for the limit of open files (default 10000)
#   --data         data directory, whose file system is mounted with noatime (default /var/lib/lanying)
#   --root         works on the tree below DIR, for example a mounted image
#
# Notes of what was changed: /var/lib/lanying-tune/changes, one line each, tab-separated:
#   live PATH BEFORE · file PATH CHECKSUM · dir PATH · line PATH BEFORE AFTER (tabs and backslashes of lines as \t and \\)
set -eu
LC_ALL=C
export LC_ALL

here=$(CDPATH='' cd -- "$(dirname -- "$0")/../pi-tuning" && pwd)
mode=check dry=false profile='' connections=10000 data=/var/lib/lanying root=''
tab=$(printf '\t')
differs=0 changed=0

usage() {
    sed -n '4,13s/^# \{0,3\}//p' "$0" >&2
    exit 2
}

fail() {
    echo "pi_tune.sh: $1" >&2
    exit 2
}

detect() { # the board: its name in the device tree
    model=$( (tr -d "\0" <"$root/proc/device-tree/model") 2>/dev/null || true)
    case $model in
        *"Pi 3"*) echo pi3 ;;
        *"Pi 4"* | *"Compute Module 4"*) echo pi4 ;;
        *"Pi 5"* | *"Compute Module 5"*) echo pi5 ;;
        *"Zero 2"*) echo zero2w ;;
        *) echo generic ;;
    esac
}

# --- cores and interfaces ---------------------------------------------------------------------------------------------

cores() { # how many there are; a tree without any is an image for a board of four
    set -- "$root"/sys/devices/system/cpu/cpu[0-9]*
    if [ -d "$1" ]; then echo $#; else echo 4; fi
}

mask() { # mask FIRST END: cores from FIRST to the one before END, hexadecimal
    printf '%x' $(((1 << $2) - (1 << $1)))
}

masks() { # sets all_cores, receive_cores, network_core: as lanying pins shard n to core n, and the profile says how many there are
    count=$(cores)
    if [ "$count" -gt 32 ]; then count=32; fi # beyond that masks have commas, and no Pi has so many
    shards=$(sed -n 's/^shards = \([0-9]*\)$/\1/p' "$here/profiles/$profile.toml")
    if [ "${shards:-0}" -eq 0 ] || [ "$shards" -ge "$count" ]; then shards=0; fi # every core has one
    all_cores=$(mask 0 "$count") receive_cores=$(mask "$shards" "$count") network_core=$(mask $((count - 1)) "$count")
}

filled() { # fills the masks of this machine in
    sed "s/@all_cores@/$all_cores/g; s/@receive_cores@/$receive_cores/g; s/@network_core@/$network_core/g"
}

interfaces() { # wired and wireless ones: lo, bridges, veth and tunnels have no device
    for interface in "$root"/sys/class/net/*; do
        if [ -e "$interface/device" ]; then echo "${interface##*/}"; fi
    done
}

for_profile() { # for_profile PATTERNS: is one of them this profile?
    set -f
    for pattern in $1; do
        # shellcheck disable=SC2254 # a pattern is meant
        case $profile in $pattern) set +f && return 0 ;; esac
    done
    set +f
    return 1
}

words() { # one space between words, none around
    tr -s '[:space:]' ' ' | sed 's/^ //; s/ $//'
}

row() { # row STATE NAME NOW WANTED WHY
    if [ "$mode" = check ]; then printf '%-8s %-52s %-20s %-20s %s\n' "$@"; fi
    [ "$1" = ok ] || differs=$((differs + 1))
}

note() { # note KIND PATH …: remembers a change, before it is made
    $dry && return
    printf '%s' "$1" >>"$state_dir/changes"
    shift
    for field in "$@"; do printf '\t%s' "$field" >>"$state_dir/changes"; done
    echo >>"$state_dir/changes"
}

noted() { # noted KIND PATH: has it been changed by us?
    grep -q "^$1$tab$2$tab" "$state_dir/changes" 2>/dev/null || grep -qx "$1$tab$2" "$state_dir/changes" 2>/dev/null
}

say() {
    changed=$((changed + 1))
    if $dry; then printf 'would %s\n' "$1"; else printf '%s\n' "$1"; fi
}

make_directory() { # with its parents, each noted
    [ -d "$root$1" ] && return
    make_directory "$(dirname "$1")"
    note dir "$1"
    $dry || mkdir "$root$1"
}

put_file() { # put_file TARGET CONTENT: installs a file of ours
    sum=$(printf '%s\n' "$2" | cksum)
    if [ -f "$root$1" ] && ! noted file "$1"; then
        echo "left alone: $1 is there already and is not ours" >&2
        return
    fi
    say "write $1"
    $dry && return
    make_directory "$(dirname "$1")"
    grep -v "^file$tab$1$tab" "$state_dir/changes" >"$state_dir/changes.new" || true
    mv "$state_dir/changes.new" "$state_dir/changes"
    note file "$1" "$sum"
    printf '%s\n' "$2" >"$root$1"
    case $2 in '#!'*) chmod 755 "$root$1" ;; esac
}

# --- values the kernel holds ------------------------------------------------------------------------------------------

value() { # value PATH RULE
    case $2 in
        choice) sed 's/.*\[\(.*\)\].*/\1/' "$1" ;;
        *) words <"$1" ;;
    esac
}

good() { # good RULE NOW WANTED
    [ "$2" = "$3" ] && return
    [ "$1" = least ] && [ "$2" -ge "$3" ] 2>/dev/null && return
    [ "$(printf '%s' "$2" | sed 's/^[0,]*//')" = "$3" ] # a mask with its zeros: 0000000f is f
}

live() { # live NAME WANTED RULE WHY
    case $1 in
        /*) pattern=$root$1 ;;
        *) pattern=$root/proc/sys/$(printf '%s' "$1" | tr . /) ;;
    esac
    IFS='' # a pattern is expanded, but not split
    for path in $pattern; do
        [ -f "$path" ] || continue
        now=$(value "$path" "$3" 2>/dev/null) || continue
        case $1 in /*) shown=${path#"$root"} ;; *) shown=$1 ;; esac
        if good "$3" "$now" "$2"; then
            row ok "$shown" "$now" "$2" "$4"
            continue
        fi
        row change "$shown" "$now" "$2" "$4"
        [ "$mode" = apply ] || continue
        say "set $shown from '$now' to '$2'"
        # In a tree that is not the kernel's the file is put back to the byte.
        [ -z "$root" ] || now=$(sed "s/$tab/\\\\t/g" "$path")
        path=${path#"$root"}
        noted live "$path" || note live "$path" "$now"
        $dry || set_live "$path" "$2"
    done
    unset IFS
}

set_live() { # set_live PATH VALUE
    if ! printf '%b\n' "$2" 2>/dev/null >"$root$1"; then echo "  the kernel refuses $1 = $2" >&2; fi
}

persistent_sysctl() {
    echo "# Written by tools/pi_tune.sh; a leading - means: no error where the kernel has no such key."
    each_live | while IFS="$tab" read -r name wanted rule _; do
        case $name in /*) continue ;; esac
        now=$( (words <"$root/proc/sys/$(printf "%s" "$name" | tr . /)") 2>/dev/null || true)
        if good "$rule" "$now" "$wanted"; then wanted=$now; fi # never lower what somebody raised
        echo "-$name = $wanted"
    done
}

persistent_tmpfiles() {
    echo "# Written by tools/pi_tune.sh"
    each_live | while IFS="$tab" read -r name wanted _; do
        case $name in
            */../* | /sys/class/net/*) ;; # the udev rule and NetworkManager do it when an interface comes
            /*) echo "w $name - - - - $wanted" ;;
        esac
    done
}

each_live() { # name, wanted, rule, why of this profile, tab-separated
    table live.knobs | filled | while IFS="$tab" read -r name wanted rule profiles why; do
        for_profile "$profiles" || continue
        case $name in
            *@interface@*)
                interfaces | while read -r interface; do
                    printf '%s\t%s\t%s\t%s\n' "${name%%@interface@*}$interface${name#*@interface@}" "$wanted" "$rule" "$why"
                done
                ;;
            *) printf '%s\t%s\t%s\t%s\n' "$name" "$wanted" "$rule" "$why" ;;
        esac
    done
}

table() { # rows of a table of pi-tuning/, cells separated by tabs
    sed -n '/^#/d; /|/s/ *| */'"$tab"'/gp' "$here/$1"
}

# --- files ------------------------------------------------------------------------------------------------------------

installed() { # installed TARGET CONTENT WHY
    if [ ! -f "$root$1" ]; then
        row change "$1" absent installed "$3"
    elif [ "$(cat "$root$1")" = "$2" ]; then
        row ok "$1" installed installed "$3"
        return
    else
        row change "$1" other installed "$3"
    fi
    if [ "$mode" = apply ]; then put_file "$1" "$2"; fi
}

# --- single lines of files that belong to the system ---------------------------------------------------------------------

change_line() { # change_line FILE BEFORE AFTER
    say "change $1: '$2' becomes '$3'"
    $dry && return
    note line "$1" "$(escaped "$2")" "$(escaped "$3")"
    replace_line "$root$1" "$2" "$3"
}

escaped() { # a line as one field: printf %b gives it back
    printf '%s\n' "$1" | sed "s/\\\\/\\\\\\\\/g; s/$tab/\\\\t/g"
}

replace_line() { # in place, so that links, owner and mode stay
    BEFORE=$2 AFTER=$3 awk 'BEGIN { before = ENVIRON["BEFORE"]; after = ENVIRON["AFTER"] }
        !done && $0 == before { print after; done = 1; next } { print }' "$1" >"$state_dir/line.new"
    if [ -n "$(tail -c 1 "$1")" ]; then # it ends without a newline, as it did
        printf '%s' "$(cat "$state_dir/line.new")" >"$1"
    else
        cat "$state_dir/line.new" >"$1"
    fi
    rm "$state_dir/line.new"
}

mount_options() { # noatime, and on ext4 a longer journal interval, for the file system the data is on
    fstab=/etc/fstab
    [ -f "$root$fstab" ] || return 0
    # The longest mount point that is a prefix of the data directory.
    line=$(DATA=$data awk '$1 !~ /^#/ && NF >= 4 { m = $2; if (m != "/") m = m "/"
        if (index(ENVIRON["DATA"] "/", m) == 1 && length(m) > best) { best = length(m); found = $0 } } END { print found }' "$root$fstab")
    [ -n "$line" ] || return 0
    after=$(printf '%s\n' "$line" | awk '{ o = $4; new = o
        if ((","o",") !~ /,noatime,/) new = new ",noatime"
        if ($3 == "ext4" && o !~ /commit=/) new = new ",commit=30"
        i = index($0, $3) + length($3); rest = substr($0, i); j = index(rest, o)
        print substr($0, 1, i - 1) substr(rest, 1, j - 1) new substr(rest, j + length(o)) }')
    system_line "$fstab ($(printf '%s' "$line" | awk '{ print $2 }'))" $fstab "$line" "$after" \
        "reading must not write; what is not flushed by the server may reach the card later (from the next boot on)"
}

memory_cgroup() { # Raspberry Pi OS switches the memory controller off
    for cmdline in /boot/firmware/cmdline.txt /boot/cmdline.txt; do
        [ -f "$root$cmdline" ] || continue
        line=$(head -n 1 "$root$cmdline")
        after=$line
        case " $line " in *" cgroup_enable=memory "*) ;; *) after="$after cgroup_enable=memory" ;; esac
        system_line "$cmdline" "$cmdline" "$line" "$after" "MemoryMax= of the service works (from the next boot on)"
        return
    done
}

card_swap() { # only where zram takes over
    swap=/etc/dphys-swapfile
    [ -f "$root$swap" ] && [ -e "$root/usr/lib/systemd/system-generators/zram-generator" ] || return 0
    line=$(grep '^CONF_SWAPSIZE=' "$root$swap" | head -n 1) || return 0
    system_line "$swap" "$swap" "$line" "CONF_SWAPSIZE=0" "swap wears the card out; zram takes its place (from the next boot on)"
}

system_line() { # system_line NAME FILE BEFORE AFTER WHY
    if [ "$3" = "$4" ]; then
        row ok "$1" edited edited "$5"
        return
    fi
    row change "$1" original edited "$5"
    if [ "$mode" = apply ]; then change_line "$2" "$3" "$4"; fi
}

# --- putting back -----------------------------------------------------------------------------------------------------

revert() {
    if [ ! -f "$state_dir/changes" ]; then
        echo "nothing to put back: $state_dir/changes is not there"
        return
    fi
    sed '1!G;h;$!d' "$state_dir/changes" >"$state_dir/reverse"
    while IFS="$tab" read -r kind path before after; do
        revert_one "$kind" "$path" "$before" "$after"
    done <"$state_dir/reverse"
    if $dry; then rm "$state_dir/reverse"; else rm -r "$state_dir"; fi
}

revert_one() { # revert_one KIND PATH BEFORE AFTER
    case $1 in
        live)
            [ -f "$root$2" ] || return 0
            say "set $2 back to '$3'"
            $dry || set_live "$2" "$3"
            ;;
        file)
            [ -f "$root$2" ] || return 0
            if [ "$(cksum <"$root$2")" != "$3" ]; then
                echo "left alone: $2 was changed since" >&2
                return
            fi
            say "remove $2"
            $dry || rm "$root$2"
            ;;
        dir) $dry || rmdir "$root$2" 2>/dev/null || true ;;
        line)
            before=$(printf '%b' "$3") after=$(printf '%b' "$4")
            if grep -qxF -- "$after" "$root$2" 2>/dev/null; then
                say "put back '$before' in $2"
                $dry || replace_line "$root$2" "$after" "$before"
            else
                echo "left alone: $2 was changed since, the line '$after' is not there" >&2
            fi
            ;;
    esac
}

# --- the whole --------------------------------------------------------------------------------------------------------

every_knob() {
    each_live >"$work/live"
    while IFS="$tab" read -r name wanted rule why; do live "$name" "$wanted" "$rule" "$why"; done <"$work/live"
    if [ -d "$root/etc" ]; then # after the values: what was raised already is written down as it is
        installed /etc/sysctl.d/90-lanying.conf "$(persistent_sysctl)" "the kernel's values of above, for the next boots"
        installed /etc/tmpfiles.d/90-lanying.conf "$(persistent_tmpfiles)" "the paths of above, for the next boots"
    fi
    table files.knobs >"$work/files"
    while IFS="$tab" read -r source target profiles needed why; do
        if for_profile "$profiles" && [ -e "$root$needed" ]; then
            installed "$target" "$(sed "s/@descriptors@/$((connections + 1024))/g" "$here/files/$source" | filled)" "$why"
        fi
    done <"$work/files"
    mount_options
    if for_profile 'pi* zero2w'; then
        memory_cgroup
        card_swap
    fi
}

apply() {
    if ! $dry; then
        mkdir -p "$state_dir"
        touch "$state_dir/changes"
    fi
    every_knob
}

while [ $# -gt 0 ]; do
    case $1 in
        --check | --apply | --revert) mode=${1#--} ;;
        --dry-run) dry=true ;;
        --profile | --connections | --data | --root)
            [ $# -gt 1 ] || usage
            case $1 in
                --profile) profile=$2 ;;
                --connections) connections=$2 ;;
                --data) data=$2 ;;
                --root) root=${2%/} ;;
            esac
            shift
            ;;
        *) usage ;;
    esac
    shift
done
case $connections in '' | *[!0-9]*) fail "--connections takes a number, not '$connections'" ;; esac
[ -z "$root" ] || [ -d "$root" ] || fail "--root $root is not a directory"
profile=${profile:-$(detect)}
case $profile in pi3 | pi4 | pi5 | zero2w | generic) ;; *) fail "no profile $profile; there are pi3, pi4, pi5, zero2w and generic" ;; esac
if [ "$mode" != check ] && ! $dry && [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
    fail "--$mode needs root: sudo $0 --$mode"
fi
masks
state_dir=$root/var/lib/lanying-tune
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $mode in
    check)
        echo "profile $profile"
        printf '%-8s %-52s %-20s %-20s %s\n' "" knob now wanted why
        every_knob
        if [ $differs -eq 0 ]; then echo "everything is as it should be"; else
            echo "$differs to change: sudo $0 --apply (and --revert puts all of it back)"
            exit 1
        fi
        ;;
    apply)
        apply
        [ $changed -ne 0 ] || echo "nothing to do: everything is as it should be"
        if [ -f "$state_dir/changes" ] && [ ! -s "$state_dir/changes" ]; then rm -r "$state_dir"; fi
        ;;
    revert) revert ;;
esac
