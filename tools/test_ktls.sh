#!/bin/sh
# Runs the TLS tests on a kernel that has TLS (module tls), in an emulated machine: for hosts whose own kernel lacks it.
#
#   tools/test_ktls.sh [DIR] [COMMAND…]
#
# DIR (default /var/tmp/lanying-ktls) keeps Debian's kernel. COMMAND (default: pytest on what is about TLS) runs in this checkout; the machine
# sees this host's files, and what it writes is gone when it ends. It has no network. The python is .venv/bin/python, or PYTHON.
# Needs: apt install qemu-system-x86 busybox-static (Debian). It is slow: a start takes one to four minutes, the tests ten.
set -eu
cd "$(dirname "$0")/.."
directory=${1:-/var/tmp/lanying-ktls}
[ $# -eq 0 ] || shift
python=${PYTHON:-.venv/bin/python}
[ $# -gt 0 ] || set -- "$python" -u -m pytest -vv -p no:cacheprovider -o faulthandler_timeout=200 --timeout 600 \
    tests/tls tests/cluster/test_tls.py

for tool in qemu-system-x86_64 busybox; do
    command -v $tool >/dev/null || {
        echo "$tool is missing: apt install qemu-system-x86 busybox-static" >&2
        exit 2
    }
done

mkdir -p "$directory"
kernel=$directory/kernel
if [ ! -e "$kernel/version" ]; then
    package=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -n 1)
    [ -n "$package" ] || {
        echo "no Debian kernel to be had: apt-get update, or put one's files into $kernel (boot/, lib/modules/)" >&2
        exit 2
    }
    (cd "$directory" && apt-get download "$package" && dpkg -x "$package"_*.deb kernel && rm "$package"_*.deb)
    [ -d "$kernel/lib" ] || mv "$kernel/usr/lib" "$kernel/lib"
    version=${package#linux-image-}
    busybox depmod -b "$kernel" "$version"
    echo "$version" >"$kernel/version"
fi
version=$(cat "$kernel/version")
# A kernel loads what a cipher consists of by itself, but finds no modprobe in here: without its two parts chacha20poly1305 is of no use.
modules="virtio_pci virtio_rng 9pnet_virtio 9p overlay aesni_intel ctr ghash_generic gcm chacha_x86_64 poly1305_x86_64 chacha20poly1305 tls"

# The first files of the machine: busybox, the modules, and a program that makes this host's files its own.
first=$(mktemp -d "$directory/first.XXXXXX")
trap 'rm -rf "$first" "$first.gz" "$first.out"' EXIT
tree=lib/modules/$version
mkdir -p "$first/bin" "$first/$tree" "$first/host" "$first/changes" "$first/root" "$first/proc" "$first/sys" "$first/dev"
cp "$(command -v busybox)" "$first/bin/busybox"
cp "$kernel/$tree"/modules.* "$first/$tree/"
for module in $modules; do
    file=$(grep -E "/$(echo "$module" | sed 's/[_-]/[_-]/g')\.ko[^:]*:" "$kernel/$tree/modules.dep" || true)
    for each in $(echo "$file" | tr -d :); do
        mkdir -p "$first/$tree/$(dirname "$each")"
        cp "$kernel/$tree/$each" "$first/$tree/$each"
    done
done
for each in "$@"; do
    printf "'%s' " "$(printf %s "$each" | sed "s/'/'\\\\''/g")"
done >"$first/command"
cat >"$first/init" <<END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in $modules; do /bin/busybox modprobe \$module; done
/bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=1048576,cache=loose host /host
/bin/busybox mount -t tmpfs changes /changes
/bin/busybox mkdir /changes/files /changes/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/changes/files,workdir=/changes/work overlay /root
ulimit -n 65536 # of which a server wants 11,024
for each in proc sys dev; do /bin/busybox mount --move /\$each /root/\$each; done
/bin/busybox mkdir -p /root/dev/shm /root/dev/pts
/bin/busybox mount -t devpts devpts /root/dev/pts
for each in dev/shm run; do /bin/busybox mount -t tmpfs tmpfs /root/\$each; done
/bin/busybox ip link set lo up
/bin/busybox chroot /root /bin/sh -c "cd '$(pwd)' && export HOME=/tmp PATH='$PATH' PYTHONPATH='${PYTHONPATH:-}' LANYING_TEST_KERNEL_TLS=required LANYING_TEST_SLOWNESS=5 && \$(/bin/busybox cat /command)"
echo "test_ktls: \$?"
/bin/busybox poweroff -f
END
chmod +x "$first/init"
(cd "$first" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$first.gz"

qemu-system-x86_64 -accel tcg -cpu max -smp 1 -m 3G -nodefaults -no-reboot -display none -serial stdio \
    -kernel "$kernel/boot/vmlinuz-$version" -initrd "$first.gz" -append "console=ttyS0 quiet mitigations=off panic=-1" \
    -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host \
    -device virtio-rng-pci </dev/null | tee "$first.out"
[ "$(tr -d '\r' <"$first.out" | sed -n 's/^test_ktls: //p')" = 0 ]
