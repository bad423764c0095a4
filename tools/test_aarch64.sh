#!/bin/sh
# Runs the fast part of the test suite on aarch64, emulated by qemu-user, with the aarch64 wheels users get.
#
#   sudo tools/test_aarch64.sh [DIR] [PYTEST ARGUMENTS…]
#
# DIR (default /var/tmp/lanying-aarch64) keeps a Debian 12 system and the wheels; the first run takes about 10 minutes.
# Needs: apt install debootstrap qemu-user-static (Debian), root.
set -eu
cd "$(dirname "$0")/.."
directory=${1:-/var/tmp/lanying-aarch64}
[ $# -eq 0 ] || shift
system=$directory/system wheels=$directory/wheels
# What runs without server processes: emulated ones take their time. Not tests/storage: RocksDB's threads take all memory under qemu-user.
tests="tests/protocol tests/shard tests/router/test_arrival.py tests/router/test_login.py tests/router/test_throttle.py
    tests/bus tests/gateway tests/client tests/push tests/base/test_ids.py tests/cluster/test_shardmap.py tests/base/test_tokens.py tests/config/test_schema.py"

[ "$(id -u)" -eq 0 ] || {
    echo "test_aarch64.sh needs root for chroot: sudo $0" >&2
    exit 2
}
for tool in debootstrap qemu-aarch64-static; do
    command -v $tool >/dev/null || {
        echo "$tool is missing: apt install debootstrap qemu-user-static" >&2
        exit 2
    }
done

# The kernel hands aarch64 programs to qemu; F: the interpreter is opened now and so found inside the chroot.
binfmt=/proc/sys/fs/binfmt_misc
[ -e $binfmt/register ] || mount -t binfmt_misc none $binfmt
if [ ! -e $binfmt/qemu-aarch64 ]; then
    printf '%s%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00' \
        ':\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' \
        >$binfmt/register
fi

if [ ! -e "$system/.made" ]; then
    debootstrap --arch=arm64 --variant=minbase --include=python3,python3-venv,git bookworm "$system"
    touch "$system/.made"
fi

echo "wheels for aarch64"
mkdir -p "$wheels"
python3 tools/requirements.py --extras test >"$wheels/requirements.txt"
python3 -m pip download --quiet --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
    --platform manylinux_2_36_aarch64 --platform manylinux_2_34_aarch64 --platform manylinux_2_31_aarch64 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_26_aarch64 --platform manylinux_2_24_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --platform any \
    --dest "$wheels" -r "$wheels/requirements.txt" hatchling editables

rm -rf "$system/src"
mkdir -p "$system/src" "$system/wheels" "$system/proc" "$system/dev"
git archive HEAD | tar -x -C "$system/src"
cp "$wheels"/* "$system/wheels/"
mountpoint -q "$system/proc" || mount -t proc none "$system/proc"
mountpoint -q "$system/dev" || mount --bind /dev "$system/dev"
trap 'umount "$system/proc" "$system/dev"' EXIT

# shellcheck disable=SC2016 # expanded inside
chroot "$system" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /bin/sh -euc '
    cd /src
    uname -m
    [ -x /venv/bin/pytest ] || python3 -m venv /venv
    /venv/bin/pip install --quiet --no-index --find-links /wheels -e ".[test]"
    failed=0
    # A process for each: what qemu has translated stays in its memory.
    for part in $0; do
        echo "$part"
        /venv/bin/python -m pytest -q --timeout 1200 -p no:cacheprovider "$part" "$@" || failed=1
    done
    exit $failed' "$tests" "$@"
