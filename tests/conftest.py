"""Fixtures shared by all tests, what a test may cost, and that it leaves its process as it found it.

Cost is CPU time of the test's process, so a busy machine fails no test. A test of a pure module that takes more than ``UNIT_CPU_S``
fails; ``@pytest.mark.costs(SECONDS, "why")`` allows one more. Others that take more than ``SHOWN_CPU_S`` are listed at the end.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lanying.shard.core import tick
from lanying.testing import process_state
from lanying.testing.cluster import Cluster

settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""A machine that is busy or small is slow, not wrong; what else holds in CI (the same examples each time) still does."""

UNIT = {"base", "bus", "client", "config", "protocol", "push", "router", "shard", "supervisor"}
"""Folders of tests that need no process, and are to be run after every change."""
LONGEST = (
    "web/test_page.py",
    "cluster/test_move.py",
    "tools/test_service.py",
    "cluster/test_storage.py",
    "storage/test_reshard.py",
    "cluster/test_strangers.py",
    "cluster/test_start.py",
    "adversity/test_disk.py",
    "cluster/test_supervisor.py",
    "adversity/test_kill.py",
    "adversity/test_random.py",
    "admin/console/test_cli.py",
    "storage/test_cold.py",
    "storage/test_renew.py",
    "web/test_sdk.py",
)
"""Begun first, the longest before the others: a worker that begins one of them last works alone at the end."""
UNIT_CPU_S = 5.0
SHOWN_CPU_S = 1.0
CPU_S = pytest.StashKey[float]()
BEFORE = pytest.StashKey[dict[str, object]]()


INTERPRETED = Path(__file__).with_name("interpreted.txt")
COMPILED = (tick.__file__ or "").endswith(".so")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if COMPILED:
        listed = set(INTERPRETED.read_text().splitlines())
        for item in items:
            if item.nodeid.partition("[")[0] in listed:
                item.add_marker(pytest.mark.skip(reason="reaches into what is compiled: tests/interpreted.txt"))
    rank = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """Thousands of tests are a million objects, and a store that closes has all of them looked at: 0.5 s of each close."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[BEFORE] = process_state.now()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    yield
    if left := process_state.put_back(item.stash[BEFORE]):
        pytest.fail("left behind for the tests that follow: " + "; ".join(left))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    before = time.process_time()
    yield
    cost = item.stash[CPU_S] = time.process_time() - before
    item.user_properties.append(("cpu_s", cost))
    area = item.path.relative_to(Path(__file__).parent).parts[0]
    costs = item.get_closest_marker("costs")
    if area in UNIT and cost > (costs.args[0] if costs else UNIT_CPU_S):
        pytest.fail(f"{cost:.1f} s of CPU time is much for a unit test: make it cheaper, or mark what it costs and why")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, ())]
    costs = {report.nodeid: dict(report.user_properties).get("cpu_s", 0.0) for report in reports}
    shown = sorted(((cost, name) for name, cost in costs.items() if cost > SHOWN_CPU_S), reverse=True)
    if shown:
        terminalreporter.section(f"more than {SHOWN_CPU_S:g} s of CPU time")
        for cost, name in shown:
            terminalreporter.line(f"{cost:6.1f} s  {name}")


@pytest.fixture
def own_process() -> Iterator[None]:
    """For a test whose subject changes what belongs to the whole process: everything is put back."""
    before = process_state.now()
    yield
    process_state.put_back(before)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A two-shard server for tests that leave its processes alone."""
    backups = tmp_path_factory.mktemp("backups")
    with Cluster(tmp_path_factory.mktemp("cluster"), shards=2, storage_backup_path=backups) as server:
        yield server
