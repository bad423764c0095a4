"""What status prints."""

import os

import pytest

from lanying.base.figures import Figure
from lanying.supervisor import report
from lanying.supervisor.answers import MeasuredProcess, MeasuredStatus, MoveStatus, ProcessStatus, Status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (125, "2 min 5 s"),
        (3600 * 5 + 725, "5 h 12 min"),
        (86_400 * 3 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def row(**other):
    base = {"name": "shard-0", "pid": os.getpid(), "state": "ready", "core": 1, "uptime_s": 61.0, "restarts": 2}
    return MeasuredProcess(**base | other)


def test_measure_adds_cpu_and_memory_and_survives_processes_that_are_gone():
    plain = [ProcessStatus("shard-0", pid) for pid in (os.getpid(), None, 2**22 + 1)]
    here, *gone = report.measured(Status(shards=3, processes=plain)).processes
    assert here.rss_bytes > 1_000_000 and here.cpu_percent >= 0
    assert [(it.rss_bytes, it.cpu_percent) for it in gone] == [(None, None)] * 2


def test_the_table_fits_a_terminal_and_shows_every_figure(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    figures = {"sessions": 1234.0, "messages": 12_345_678.0, "link_depth": 0.0}
    depth, left = (
        Figure(name, 2.0, labels)
        for name, labels in (("link_depth", {"to": "shard-1"}), ("arrivals", {"end": "closed_left"}))
    )
    rows = [
        row(cpu_percent=3.5, rss_bytes=47_000_000, figures=figures, series=[depth, left]),
        row(name="router", pid=None, state="waiting", core=None, cpu_percent=None, rss_bytes=None),
    ]
    status = MeasuredStatus(
        state="starting", url="http://127.0.0.1:1", app_id="lanying", version="1", pid=1, uptime_s=5.0, data="/d", shards=1,
        shard_map_version=7, durability="os", metrics_url="http://127.0.0.1:2/metrics", processes=rows,
    )  # fmt: skip
    report.show(status)
    shown = capsys.readouterr().out
    (shard,) = [line for line in shown.splitlines() if line.startswith("shard-0 ")]
    assert shard.split() == [
        "shard-0",
        str(os.getpid()),
        "ready",
        "1",
        "1",
        "min",
        "1",
        "s",
        "2",
        "3.5",
        "47.0",
        "1234",
    ]
    (router,) = [line for line in shown.splitlines() if line.startswith("router ")]
    assert router.split() == ["router", "-", "waiting", "-", "1", "min", "1", "s", "2", "-", "-", "-"]
    assert "messages=12345678 link_depth=0 arrivals[closed_left]=2" in shown, "no link by itself: there is a total"
    assert "shard map version 7" in shown and "durability os" in shown


def test_measured_seconds_are_short_and_counts_and_times_of_day_are_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    figures = {
        "tick_seconds": 0.00023662300009164,
        "newest_id_s": 1796070855.788,
        "disk_bytes": 80893460480.0,
        "turns": 39.0,
    }
    status = MeasuredStatus(
        state="ready", url="http://127.0.0.1:1", app_id="lanying", version="1", pid=1, uptime_s=5.0, data="/d", shards=1,
        shard_map_version=7, durability="os", metrics_url="", processes=[row(figures=figures)],
    )  # fmt: skip
    report.show(status)
    assert (
        "tick_seconds=0.0002366 newest_id_s=1796070855.788 disk_bytes=80893460480 turns=39" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("step", "done", "total", "expected"),
    [("", 0, 0, "moving"), ("copy", 45, 90, "copy 50 %"), ("compare", 0, 0, "compare")],
)
def test_how_far_a_move_is(step, done, total, expected):
    found = MoveStatus("drain shard 1", step, done, total)
    assert report.moving(Status(state="moving", move=found)) == expected
    assert report.moving(Status(state="ready")) == ""
