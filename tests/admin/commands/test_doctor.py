"""What the doctor finds on machines that are ill, each with a remedy."""

import pytest

from lanying.admin.commands.doctor import Patient, examine
from lanying.admin.files import ServerFiles
from lanying.base.figures import Figure
from lanying.config.load import load
from lanying.config.notifiers import Notifiers, Secret
from lanying.supervisor.answers import ProcessStatus, Status

NOW = 1_800_000_000.0


@pytest.fixture
def patient(tmp_path):
    def make(files=None, flushes=(0.5, 0.6), now=NOW, process=None, environment=None):
        root = tmp_path / "root"
        for name, text in (files or {}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        row = ProcessStatus(**{"name": "shard-0", "pid": 7, "state": "ready"} | (process or {}))
        status = Status(processes=[row], shards=1)
        return Patient(root, load(environment=environment or {}), ServerFiles(tmp_path), status, list(flushes), now)

    return make


def found(patient, check):
    return next(finding for finding in examine(patient) if finding.check == check)


def test_a_healthy_machine_has_nothing_bad(patient):
    assert {finding.state for finding in examine(patient())} == {"ok"}


def test_ids_that_ran_ahead_of_the_clock_are_no_illness(patient):
    assert found(patient(process={"figures": {"newest_id_s": NOW + 5}}), "clock").state == "ok"


@pytest.mark.parametrize(
    ("check", "state", "text", "ill"),
    [
        ("shard-0", "bad", "starting", {"process": {"state": "starting"}}),
        ("shard-0", "warn", "restarted 3 times", {"process": {"restarts": 3, "last_exit": -9}}),
        (
            "shard-0",
            "warn",
            "wait for shard-1",
            {"process": {"series": [Figure("link_depth", 5000.0, {"to": "shard-1"})]}},
        ),
        ("open files", "bad", "may open 1024", {"files": {"proc/7/limits": "Max open files  1024  1024  files\n"}}),
        ("backlog", "warn", "is 128", {"files": {"proc/sys/net/core/somaxconn": "128\n"}}),
        ("clock", "bad", "before 2024", {"now": 1000.0}),
        (
            "clock",
            "bad",
            "730 days behind the newest message",
            {"process": {"figures": {"newest_id_s": NOW + 730 * 86_400}}},
        ),
        ("clock", "bad", "45 seconds behind", {"process": {"figures": {"newest_id_s": NOW + 45}}}),
        ("clock", "warn", "not synchronised", {"files": {"run/systemd/timesync/clock": ""}}),
        ("disk speed", "warn", "flush 45.00 ms", {"flushes": (40.0, 45.0, 50.0)}),
        ("disk speed", "warn", "too fast to be true", {"flushes": (0.001, 0.002)}),
        ("mmcblk0", "bad", "worn", {"files": {"sys/block/mmcblk0/device/life_time": "0x0b 0x0a\n"}}),
        ("temperature", "warn", "82 °C", {"files": {"sys/class/thermal/thermal_zone0/temp": "82000\n"}}),
        (
            "power",
            "bad",
            "under-voltage now",
            {"files": {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}},
        ),
        (
            "power",
            "warn",
            "since the start",
            {"files": {"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"}},
        ),
        ("settings", "warn", "durability is os", {"environment": {"LANYING_STORAGE_DURABILITY": "os"}}),
        ("settings", "warn", "caches may take", {"files": {"proc/meminfo": "MemTotal: 64000 kB\n"}}),
    ],
)
def test_every_illness_is_found_with_its_remedy(patient, check, state, text, ill):
    finding = found(patient(**ill), check)
    assert finding.state == state and text in finding.found and finding.remedy


def test_a_check_that_cannot_look_says_so(patient):
    broken = patient(files={"sys/block/mmcblk0/device/life_time": "not hexadecimal\n"})
    assert "could not look" in found(broken, "cards").found


def test_the_worst_comes_first(patient):
    states = [finding.state for finding in examine(patient(now=1000.0, process={"restarts": 1}))]
    assert states == sorted(states, key=["bad", "warn", "ok"].index)


@pytest.mark.parametrize(
    ("state", "text", "process"),
    [
        ("bad", "no push process", {}),
        ("ok", "3 are owed", {"name": "push", "figures": {"pushes_waiting": 3.0, "pushes_owed": 3.0}}),
        ("warn", "200 wait for a vendor", {"name": "push", "figures": {"pushes_waiting": 200.0}}),
        ("warn", "7 were dropped", {"name": "push", "figures": {"pushes_dropped": 7.0}}),
    ],
)
def test_pushes_are_looked_at_where_there_is_a_notifier(patient, tmp_path, state, text, process):
    ill = patient(process=process)
    assert all(finding.check != "pushes" for finding in examine(ill))
    Notifiers(tmp_path).put("lanying", "google", 7, 1, "", Secret())
    finding = found(ill, "pushes")
    assert finding.state == state and text in finding.found
    assert finding.remedy or state == "ok"


def test_a_restart_that_was_asked_for_is_no_illness(patient):
    assert {finding.state for finding in examine(patient(process={"restarts": 1, "last_exit": 0}))} == {"ok"}
