"""``tools/pi_tune.sh`` on a tree that looks like a Raspberry Pi's: what it changes, and that it puts all of it back."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/pi_tune.sh"
CMDLINE = "console=tty1 root=PARTUUID=1234-02 rootfstype=ext4 rootwait\n"
FSTAB = """proc            /proc           proc    defaults          0       0
PARTUUID=1234-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=1234-02  /               ext4    defaults,errors=remount-ro  0       1
"""
FILES = {
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/sys/net/core/somaxconn": "128\n",
    "proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    "proc/sys/fs/file-max": "9223372036854775807\n",
    "proc/sys/vm/swappiness": "60\n",
    "proc/irq/39/smp_affinity": "f\n",
    "proc/irq/39/eth0/.keep": "",
    "proc/irq/40/smp_affinity": "f\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
    "sys/class/net/eth0/queues/rx-0/rps_cpus": "00000000\n",
    "sys/class/net/eth0/queues/tx-0/xps_cpus": "0\n",
    "sys/class/net/eth0/device/uevent": "",
    "sys/class/net/wlan0/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/wlan0/device/uevent": "",
    "sys/class/net/lo/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/veth12/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/wg0/queues/rx-0/rps_cpus": "0\n",
    **{f"sys/devices/system/cpu/cpu{n}/uevent": "" for n in range(4)},
    "boot/firmware/cmdline.txt": CMDLINE,
    "etc/fstab": FSTAB,
    "etc/dphys-swapfile": "# comment\nCONF_SWAPSIZE=512\n",
    "etc/security/limits.conf": "",
    "etc/systemd/system.conf": "",
    "etc/NetworkManager/NetworkManager.conf": "",
    "etc/modules-load.d/modules.conf": "",
    "etc/udev/udev.conf": "",
    "etc/NetworkManager/dispatcher.d/.keep": "",
    "usr/lib/systemd/system-generators/zram-generator": "",
}


@pytest.fixture
def pi(tmp_path):
    root = tmp_path / "a card"  # with a space
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "var/lib").mkdir(parents=True)
    return root


def tune(root, *arguments, code=0):
    done = subprocess.run([SCRIPT, "--root", root, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def digest(root):
    """Every file's content and mode, every directory."""
    return {
        str(path.relative_to(root)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(root.rglob("*"))
    }


def text(root, name):
    return (root / name).read_text()


def test_check_changes_nothing_and_names_every_knob_with_its_reason(pi):
    before = digest(pi)
    shown = tune(pi, code=1)
    assert digest(pi) == before
    assert "profile pi4" in shown
    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith(("ok ", "change "))}
    assert rows["net.core.somaxconn"].split()[:4] == ["change", "net.core.somaxconn", "128", "4096"]
    assert rows["net.core.somaxconn"].endswith("while the router restarts or a school logs in at once")
    assert rows["fs.file-max"].startswith("ok ")
    assert "always" in rows["/sys/kernel/mm/transparent_hugepage/enabled"]
    assert {name.split("/")[4] for name in rows if name.startswith("/sys/class/net/")} == {"eth0", "wlan0"}
    assert rows["/boot/firmware/cmdline.txt"].startswith("change ")


def test_apply_sets_what_differs_now_and_for_the_next_boots(pi):
    tune(pi, "--apply", "--connections", "2000")
    assert text(pi, "proc/sys/net/core/somaxconn") == "4096\n"
    assert text(pi, "proc/sys/fs/file-max") == FILES["proc/sys/fs/file-max"], "never lowered"
    assert text(pi, "proc/irq/39/smp_affinity") == "8\n" and text(pi, "proc/irq/40/smp_affinity") == "f\n"
    sysctl = text(pi, "etc/sysctl.d/90-lanying.conf").splitlines()
    assert "-net.core.somaxconn = 4096" in sysctl and "-fs.file-max = 9223372036854775807" in sysctl
    assert (
        text(pi, "sys/class/net/eth0/queues/rx-0/rps_cpus")
        == text(pi, "sys/class/net/wlan0/queues/rx-0/rps_cpus")
        == "f\n"
    )
    assert "/sys/class/net/" not in text(pi, "etc/tmpfiles.d/90-lanying.conf"), "an interface may come later"
    assert "echo f >$$q/rps_cpus" in text(pi, "etc/udev/rules.d/90-lanying.rules")
    dispatcher = pi / "etc/NetworkManager/dispatcher.d/90-lanying-interrupts"
    assert "echo 8 >" in dispatcher.read_text() and os.access(dispatcher, os.X_OK)
    assert text(pi, "etc/modules-load.d/90-lanying.conf") == "tls\n"
    assert "* hard nofile 3024\n" in text(pi, "etc/security/limits.d/90-lanying.conf")
    assert text(pi, "boot/firmware/cmdline.txt") == CMDLINE[:-1] + " cgroup_enable=memory\n"
    assert "ext4    defaults,errors=remount-ro,noatime,commit=30  0 " in text(pi, "etc/fstab")
    assert text(pi, "etc/fstab").splitlines()[:2] == FSTAB.splitlines()[:2]
    assert text(pi, "etc/dphys-swapfile") == "# comment\nCONF_SWAPSIZE=0\n"
    assert "is as it should be" in tune(pi, "--connections", "2000")


@pytest.mark.parametrize(
    ("cores", "profile", "receive", "all_cores", "network"),
    [
        (4, "pi4", "f", "f", "8"),
        (4, "zero2w", "c", "f", "8"),
        (2, "pi4", "3", "3", "2"),
        (8, "pi5", "f0", "ff", "80"),
        (1, "pi3", "1", "1", "1"),
    ],
)
def test_masks_follow_the_cores_and_the_shards_pinned_to_them(pi, cores, profile, receive, all_cores, network):
    shutil.rmtree(pi / "sys/devices/system/cpu")
    for number in range(cores):
        (pi / f"sys/devices/system/cpu/cpu{number}").mkdir(parents=True)
    before = digest(pi)
    tune(pi, "--apply", "--profile", profile)
    assert text(pi, "sys/class/net/eth0/queues/rx-0/rps_cpus").strip().lstrip("0") == receive
    assert text(pi, "sys/class/net/eth0/queues/tx-0/xps_cpus").strip() == all_cores
    assert text(pi, "proc/irq/39/smp_affinity").strip() == network
    assert text(pi, "sys/class/net/wg0/queues/rx-0/rps_cpus") == "0\n"
    tune(pi, "--revert")
    assert digest(pi) == before


def test_shards_of_the_profiles_leave_the_cores_that_the_masks_say():
    """What `lanying.supervisor.machine.pin` does is what the script assumes."""
    from lanying.supervisor.machine import pin

    assert [pin(shard, [0, 1, 2, 3]) for shard in range(2)] == [0, 1]


def test_a_second_apply_has_nothing_to_do(pi):
    tune(pi, "--apply")
    before = digest(pi)
    assert "nothing to do" in tune(pi, "--apply")
    assert digest(pi) == before


@pytest.mark.parametrize("profile", ["pi3", "pi4", "pi5", "zero2w", "generic"])
def test_revert_leaves_the_tree_as_it_was_to_the_byte(pi, profile):
    before = digest(pi)
    tune(pi, "--apply", "--profile", profile)
    assert digest(pi) != before
    tune(pi, "--apply", "--profile", profile, "--connections", "500")  # written twice, remembered once
    tune(pi, "--revert")
    assert digest(pi) == before
    assert "nothing to put back" in tune(pi, "--revert")


def test_dry_runs_change_nothing(pi):
    before = digest(pi)
    assert "would set net.core.somaxconn from '128' to '4096'" in tune(pi, "--apply", "--dry-run")
    assert digest(pi) == before
    tune(pi, "--apply")
    before = digest(pi)
    assert "would remove /etc/sysctl.d/90-lanying.conf" in tune(pi, "--revert", "--dry-run")
    assert digest(pi) == before


def test_what_somebody_changed_since_is_left_alone(pi):
    tune(pi, "--apply")
    (pi / "etc/security/limits.d/90-lanying.conf").write_text("mine\n")
    (pi / "etc/fstab").write_text("tmpfs /tmp tmpfs defaults 0 0\n")
    shown = tune(pi, "--revert")
    assert "left alone: /etc/security/limits.d/90-lanying.conf was changed since" in shown
    assert "left alone: /etc/fstab was changed since" in shown
    assert text(pi, "etc/security/limits.d/90-lanying.conf") == "mine\n"
    assert text(pi, "etc/fstab") == "tmpfs /tmp tmpfs defaults 0 0\n"
    assert text(pi, "boot/firmware/cmdline.txt") == CMDLINE


def test_a_file_of_that_name_which_is_not_ours_is_left_alone(pi):
    (pi / "etc/sysctl.d").mkdir()
    (pi / "etc/sysctl.d/90-lanying.conf").write_text("mine\n")
    before = digest(pi)
    assert "left alone: /etc/sysctl.d/90-lanying.conf is there already" in tune(pi, "--apply")
    assert text(pi, "etc/sysctl.d/90-lanying.conf") == "mine\n"
    tune(pi, "--revert")
    assert digest(pi) == before


def test_the_mount_of_the_data_directory_is_the_one_that_changes(pi):
    (pi / "etc/fstab").write_text(FSTAB + "UUID=9  /srv  xfs  defaults  0  2\n")
    tune(pi, "--apply", "--data", "/srv/lanying")
    assert text(pi, "etc/fstab") == FSTAB + "UUID=9  /srv  xfs  defaults,noatime  0  2\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--connections", "many"], "--connections takes a number, not 'many'"),
        (["--profile", "pi9"], "no profile pi9; there are pi3, pi4, pi5, zero2w and generic"),
        (["--frobnicate"], "--revert"),
        (["--profile"], "--revert"),
    ],
)
def test_bad_options_name_the_good_ones(pi, arguments, says):
    assert says in tune(pi, *arguments, code=2)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed: apt install shellcheck")
def test_shellcheck_finds_nothing():
    scripts = [*sorted((ROOT / "tools").glob("*.sh")), ROOT / "pi-tuning/files/NetworkManager/90-lanying-interrupts"]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_knob_has_its_row_in_the_documentation():
    page = (ROOT / "pi-tuning/README.md").read_text()
    for table in ("live.knobs", "files.knobs"):
        for line in (ROOT / "pi-tuning" / table).read_text().splitlines():
            if line and not line.startswith("#"):
                name = line.split("|")[1 if table == "files.knobs" else 0].strip()
                assert f"`{name}`" in page, name


def test_lines_with_tabs_and_backslashes_and_files_without_a_last_newline_come_back(pi):
    (pi / "etc/fstab").write_text(
        "PARTUUID=1234-02\t/\text4\tdefaults\t0\t1\nUSB\t/srv/my\\040disk\text4\tdefaults\t0\t2"
    )
    (pi / "boot/firmware/cmdline.txt").write_text(CMDLINE.rstrip())
    before = digest(pi)
    for data in ("/var/lib/lanying", "/srv/my\\040disk/lanying"):
        tune(pi, "--apply", "--data", data)
        assert "defaults,noatime,commit=30\t0" in text(pi, "etc/fstab")
        assert text(pi, "boot/firmware/cmdline.txt") == CMDLINE.rstrip() + " cgroup_enable=memory"
        assert "left alone" not in tune(pi, "--revert")
        assert digest(pi) == before
