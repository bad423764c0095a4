"""What belongs to the whole process is noticed when it was changed, and put back."""

import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Callable

import pytest

from lanying.testing import process_state


def another_zone() -> None:
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()


def fewer_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


CHANGES: dict[str, Callable[[], object]] = {
    "umask": lambda: os.umask(0o123),
    "working directory": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(LANYING_SHARDS="2"),
    "time zone": another_zone,
    "signal handlers": lambda: signal.signal(signal.SIGHUP, lambda number, frame: None),
    "cores": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "limit of open files": fewer_files,
    "garbage collector": gc.disable,
    "root logger": lambda: logging.getLogger().setLevel(logging.DEBUG),
    "disabled loggers": lambda: setattr(logging.getLogger("lanying.some"), "disabled", True),
}


def test_every_part_has_a_case():
    assert CHANGES.keys() == process_state.PARTS.keys()


@pytest.mark.parametrize("part", CHANGES)
def test_a_change_is_named_and_undone(part, monkeypatch):
    monkeypatch.delenv("TZ", raising=False)
    if part == "cores" and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one core only")
    before = process_state.now()
    CHANGES[part]()
    assert part in {line.partition(":")[0] for line in process_state.put_back(before)}
    assert process_state.put_back(before) == [] and process_state.now() == before


def test_a_variable_that_went_comes_back(monkeypatch):
    monkeypatch.setenv("LANYING_SHARDS", "2")
    before = process_state.now()
    del os.environ["LANYING_SHARDS"]
    assert process_state.put_back(before) == ["environment: LANYING_SHARDS was '2', is None"]
    assert os.environ["LANYING_SHARDS"] == "2"
