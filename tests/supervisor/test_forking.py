"""The fork server and the children it gives birth to: real processes, of a small module of ours."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lanying.cluster.launch import Launch
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.supervisor import forking
from lanying.supervisor.forking import Forked, ForkServer
from lanying.testing.poll import eventually

CHILD = """
import gc, json, os, random, signal, sys, threading

def main():
    record = json.loads(sys.stdin.buffer.read())
    if record["name"] == "wait":
        signal.pause()
    seen = {
        "descriptors": {fd: to for fd in os.listdir("/proc/self/fd") if (to := read(f"/proc/self/fd/{fd}"))},
        "passed_on": [fd for fd in range(3, 9) if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)],
        "fds": record["fds"],
        "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0),
        "random": random.random(), "threads": len(os.listdir("/proc/self/task")),
        "main": threading.current_thread() is threading.main_thread(),
        "collects": gc.isenabled(), "frozen": gc.get_freeze_count(), "arguments": sys.argv,
        "title": open("/proc/self/cmdline").read().rstrip("\\0"),
    }
    with open(record["data"], "w") as file:
        json.dump(seen, file)
    return record["index"]

def read(link):
    try:
        return os.readlink(link)
    except OSError:  # that which listed the others
        return ""
"""


class House:
    """A supervisor's part of it."""

    def __init__(self, place: Path, modules: tuple[str, ...] = ("forked_child",)) -> None:
        self.place = place
        self.lock = (place / "lock").open("w")
        self.ready = asyncio.Event()
        self.failed = asyncio.Event()
        self.forks = ForkServer(modules, asyncio.get_running_loop(), self.ready.set, self.failed.set)

    async def child(self, name: str = "look", code: int = 0, **fds: int) -> Forked:
        await asyncio.wait_for(self.ready.wait(), 30)
        launch = Launch(name, Config(), str(self.place / "seen"), ShardMap.even(1), (), index=code, fds=fds)
        found = self.forks.fork("forked_child", f"lanying: {name}", launch, self.lock.fileno())
        assert found is not None
        return found

    async def look(self, **fds: int) -> dict[str, Any]:
        """What a child sees."""
        assert (await self.child(**fds)).bury() == 0
        found: dict[str, Any] = json.loads((self.place / "seen").read_text())
        return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Runs a test's body with a fork server that has been started."""
    (tmp_path / "forked_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))

    def perform(body: Callable[[House], Awaitable[None]], *modules: str) -> None:
        async def with_a_house() -> None:
            house = House(tmp_path, modules or ("forked_child",))
            house.forks.start()
            try:
                await body(house)
            finally:
                house.forks.close()
                house.lock.close()

        asyncio.run(with_a_house())

    yield perform


def alive(child: Forked) -> bool:
    """As the kernel says; of a child that nobody has buried."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def test_a_child_is_the_supervisors_own_and_has_nothing_but_what_is_meant_for_it(run: Callable[..., None]) -> None:
    async def body(house: House) -> None:
        listener = os.open(house.place / "listener", os.O_RDWR | os.O_CREAT)
        seen = await house.look(listener=listener)
        os.close(listener)
        assert seen["parent"] == os.getpid() and seen["session"] == seen["pid"]
        assert seen["descriptors"].pop("0").startswith("pipe:")
        assert seen["descriptors"].pop("1") == seen["descriptors"].pop("2") == os.readlink("/proc/self/fd/2")
        assert seen["descriptors"] == {"3": str(house.place / "lock"), "4": str(house.place / "listener")}
        assert seen["fds"] == {"listener": 4} and seen["passed_on"] == []
        assert seen["title"] == "lanying: look" and seen["arguments"] == ["forked_child"]
        assert seen["threads"] == 1 and seen["main"] and seen["collects"] and seen["frozen"] > 1000
        assert seen["random"] != (await house.look())["random"]

    run(body)


def test_how_a_child_ended_is_known(run: Callable[..., None]) -> None:
    async def body(house: House) -> None:
        assert (await house.child(code=7)).bury() == 7
        waits = await house.child("wait")
        waits.signal(signal.SIGTERM)
        assert waits.bury() == -signal.SIGTERM

    run(body)


def test_a_module_that_cannot_be_imported_ends_its_child_alone(run: Callable[..., None]) -> None:
    async def body(house: House) -> None:
        await asyncio.wait_for(house.ready.wait(), 30)
        launch = Launch("look", Config(), "", ShardMap.even(1), ())
        child = house.forks.fork("no_such_module", "lanying: look", launch, house.lock.fileno())
        assert child is not None and child.bury() == 1
        await house.look()

    run(body)


def test_the_death_of_the_fork_server_means_nothing_to_its_children_and_another_one_comes(
    run: Callable[..., None],
) -> None:
    async def body(house: House) -> None:
        child, before = await house.child("wait"), house.forks.pid
        house.ready.clear()
        os.kill(before, signal.SIGKILL)
        await asyncio.wait_for(house.ready.wait(), 30)
        assert house.forks.pid not in (0, before) and alive(child)
        await house.look()
        child.signal(signal.SIGKILL)
        assert child.bury() == -signal.SIGKILL

    run(body)


def test_a_fork_server_that_does_not_answer_is_replaced(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking, "ANSWER_S", 0.2)

    async def body(house: House) -> None:
        await asyncio.wait_for(house.ready.wait(), 30)
        house.ready.clear()
        os.kill(house.forks.pid, signal.SIGSTOP)
        launch = Launch("look", Config(), "", ShardMap.even(1), ())
        assert house.forks.fork("forked_child", "", launch, house.lock.fileno()) is None
        assert not house.forks.ready
        await house.look()  # when the other one is ready

    run(body)


def test_a_fork_server_that_cannot_start_says_so_once_and_may_be_asked_again(run: Callable[..., None]) -> None:
    async def body(house: House) -> None:
        for _ in range(2):
            house.forks.start()
            await asyncio.wait_for(house.failed.wait(), 30)
            house.failed.clear()
            assert house.forks.pid == 0 and not house.forks.ready

    run(body, "no_such_module")


def test_closed_it_ends_and_its_children_go_on(run: Callable[..., None]) -> None:
    kept = []

    async def body(house: House) -> None:
        kept.append(await house.child("wait"))
        kept.append(house.forks.pid)

    run(body)
    child, pid = kept
    assert not Path(f"/proc/{pid}").exists() and alive(child)
    child.signal(signal.SIGKILL)
    child.bury()
    asyncio.run(eventually("nothing is left", lambda: not Path(f"/proc/{child.pid}").exists()))
