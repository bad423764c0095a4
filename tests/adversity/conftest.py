"""A server with fail points, and a crowd that outlives what is done to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from lanying.base import limits
from lanying.base.failpoints import arm
from lanying.testing.cluster import Cluster
from lanying.testing.crowd import Crowd
from lanying.testing.poll import until

T = TypeVar("T")
QUICK_BACKOFF_S = 0.4
"""The crowd comes back sooner than people would: what is tested is what it finds."""


class Town:
    """A server, a crowd, and one loop for both as long as the tests of a module last."""

    def __init__(self, server: Cluster, points: Path, crowd: Crowd) -> None:
        self.server = server
        self.points = points
        self.crowd = crowd
        self._loop = asyncio.new_event_loop()

    def run(self, work: Awaitable[T], timeout_s: float = 60.0) -> T:
        """Let the crowd act."""

        async def bounded() -> T:
            async with asyncio.timeout(timeout_s):
                return await work

        return self._loop.run_until_complete(bounded())

    def close(self) -> None:
        """Everybody leaves."""
        self.run(self.crowd.leave())
        self._loop.close()

    def arm(self, name: str, action: str = "kill", *, process: str = "", passes: int = 0) -> Path:
        """Arm a fail point."""
        return arm(self.points, name, action, process=process, passes=passes)

    def suffer(self, *armed: Path, act: Callable[[], Awaitable[object]], before: dict[str, int]) -> None:
        """Let the crowd act until all armed points have killed, and the server is back.

        :param before: restarts of each process before they were armed
        """

        def left() -> list[str]:
            return [path.name for path in armed if path.exists()]

        def died() -> bool:
            now = self.restarts()
            return sum(now[name] > before[name] for name in before) >= len(armed)

        async def acting() -> None:
            while left():
                await act()

        def recovering() -> None:
            until("every armed point is passed", lambda: not left(), saw=left)
            if any("supervisor" in path.name for path in armed):
                until("the server is gone", self.server.ended, saw=self.server.log)
                self.server.start()
                return
            until("they died", died, saw=self.server.log)
            self.come_back()

        async def both() -> None:
            await asyncio.gather(acting(), asyncio.to_thread(recovering))

        self.run(both(), 90)

    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {row["name"]: row["restarts"] for row in self.server.status()["processes"]}

    def come_back(self) -> None:
        """Wait until every process is there; what waits to be started again is started now."""
        server = self.server

        def ready() -> bool:
            server.hurry()
            return bool(server.status()["state"] == "ready")

        until("every process is ready", ready, saw=lambda: f"{server.status()}\n{server.log()}")

    def check(self) -> None:
        """Everybody is heard everywhere, and the promise was kept."""
        self.run(self.crowd.talk(4))
        self.run(self.crowd.settle(40), 60)
        self.crowd.verify()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Eight users with two devices each in two groups, on two shards. The databases are checked in the end."""
    place = tmp_path_factory.mktemp("town")
    points = place / "points"
    points.mkdir()
    # What one user may send in a second is not what these tests are about.
    generous = {"failpoints": points, "policy_user_bytes_per_s": 1 << 30}
    with pytest.MonkeyPatch.context() as patch, Cluster(place, shards=2, **generous) as server:
        patch.setattr(limits, "CLIENT_BACKOFF_MAX_S", QUICK_BACKOFF_S)
        found = Town(server, points, Crowd(server.url, 8, devices=2, group_size=4))
        found.run(found.crowd.arrive())
        found.run(found.crowd.look_in())
        yield found
        found.run(found.crowd.verify_unread())
        found.run(found.crowd.look_in())
        found.crowd.verify_unread_of_the_absent()
        found.run(found.crowd.verify_history())
        found.close()
        assert server.stop() == 0, server.log()
        assert [*points.iterdir()] == [], os.listdir(points)
        found.crowd.ledger.check_stores(server.data)
