"""The bed a scenario runs in: a server, its users, the generator, and the meter that looks at all of it.

Chat runs have four parts: log in; *greeting* (every sender one message, so that first contacts and device rows are
there, as in a server that runs since yesterday); warm-up and window under load (:mod:`bench.window`); drain until nothing
is outstanding. CPU is that of the window; losses are counted over everything.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure, results
from bench.client import Setting
from bench.fleet import Fleet
from bench.host import Host, Target
from bench.orders import ChatOrder, LoginOrder, LoginResult, LogoutOrder, now_us
from bench.people import Arrangement, Pairs
from bench.results import Run
from bench.server import Server

TRANSPORTS = ("xsync", "socketio")
LEAD_US = 200_000
"""From an order to its first message: all workers start together."""
SETTLE_S = 3.0
"""A heartbeat of the server and its lazy work after a change of load."""


@dataclass(frozen=True)
class Common:
    """Options of every scenario."""

    target: Target
    seed: int = 1
    workers: int = 2
    transport: str = "xsync"
    size: int = 100
    nice: int = 0
    """Other than 0: autogroup niceness of server and generator, for a machine that others use too (needs root)."""
    hook: Callable[[Host, float], contextlib.AbstractContextManager[object]] | None = None
    """Something to do beside the window, for example a profiler; gets its length in seconds."""
    host: Callable[[Target, int], Host] = Server
    """Makes the server under test."""


Report = Callable[[str, float, float], None]
"""Progress: what is done, how far, of how much."""


class Bench:
    """A server, its users and the generator.

    :ivar audience: indices of the recipients of every stream
    """

    def __init__(self, common: Common, users: int, arrangement: Arrangement | None = None) -> None:
        self.common = common
        self.users = users
        self._arrangement = arrangement or Pairs()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        try:
            return self._enter()
        except BaseException:
            self._stack.close()
            raise

    def _enter(self) -> Bench:
        common = self.common
        self.started_load = os.getloadavg()[0]
        self.server = self._stack.enter_context(common.host(common.target, self.users))
        tokens = {account.uid: account.token for account in self.server.accounts}
        order = list(tokens)
        chance = random.Random(common.seed)
        chance.shuffle(order)
        people = self._arrangement.arrange(self.server, order, common.workers, chance)
        self.groups, self.audience = people.deal(tokens, common.workers)
        host, port = self.server.address
        now_ms = time.time_ns() // 1_000_000
        self.setting = Setting(
            host,
            port,
            marker=b"LB%04x" % (now_ms // 1000 & 0xFFFF),
            base=now_ms,
            size=common.size,
            protocol=common.transport,
            seed=common.seed,
            tls=self.server.tls,
            authority=str(self.server.authority or ""),
        )
        self.fleet = self._stack.enter_context(Fleet(self.setting, self.groups))
        self.look_at_server()
        return self

    def look_at_server(self) -> None:
        """The server's processes are new."""
        self.meter = self.server.meter()
        nice = self.common.nice
        self.preferred = bool(nice) and measure.prefer([*self.meter.pids.values(), *self.fleet.pids], nice)

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def run(self, scenario: str, **settings: object) -> Run:
        """A new record."""
        common = self.common
        base: dict[str, Any] = {
            "users": self.users,
            "workers": common.workers,
            "transport": common.transport,
            "content_bytes": common.size,
        } | self.server.settings()
        machine = results.machine(self.server.data or Path())
        machine["load_before"] = round(self.started_load, 2)
        if self.preferred:
            base["nice"] = common.nice
        return Run(scenario, base | settings, common.seed, machine=machine)

    def log_in(
        self,
        report: Report,
        *,
        rate: float = 0.0,
        concurrency: int = 64,
        unread: bool = True,
        resume: bool = False,
    ) -> LoginFigures:
        """Everybody, at ``rate`` per second, or as fast as it goes with ``concurrency`` logins under way."""
        return self.log_in_some(report, 0.0, 1.0, rate=rate, concurrency=concurrency, unread=unread, resume=resume)

    def log_in_some(
        self,
        report: Report,
        start: float,
        stop: float,
        *,
        rate: float = 0.0,
        concurrency: int = 64,
        unread: bool = True,
        resume: bool = False,
    ) -> LoginFigures:
        """The part of each worker's devices between two fractions."""
        workers = self.fleet.workers
        begin = now_us() + LEAD_US
        orders = []
        for number, group in enumerate(self.groups):
            first, last = int(len(group) * start), int(len(group) * stop)
            orders.append(
                LoginOrder(
                    first,
                    last - first,
                    rate / workers,
                    max(1, concurrency // workers),
                    begin + (int(number * 1e6 / rate) if rate else 0),
                    unread,
                    resume,
                )
            )
        before = self.meter.sample()
        found: list[LoginResult] = self.fleet.order(orders, lambda counters, ready: report("log in", ready, self.users))
        used = self.meter.sample().total - before.total
        latencies = [one.latencies for one in found]
        return LoginFigures(
            sum(map(len, latencies)),
            sum(one.failed for one in found),
            (max(one.ended_us for one in found) - min(one.started_us for one in found)) / 1e6,
            used.cpu_s,
            latencies,
            sum(one.resumed for one in found),
        )

    def log_out(self) -> None:
        """Close all connections and let the server notice."""
        self.fleet.order(LogoutOrder())
        deadline = time.monotonic() + 10
        while self.server.figures().get("sessions", 0.0) and time.monotonic() < deadline:
            time.sleep(0.2)

    def greet(self, report: Report, rate: float = 2000.0) -> None:
        """One message of every sender on its first route."""
        before = self.fleet.total()[0]["sent"]
        senders = sum(bool(member.routes) for group in self.groups for member in group)
        order = ChatOrder(now_us() + LEAD_US, 0, 0, rate / self.fleet.workers, once=True, poisson=False)
        self.fleet.order(order, lambda counters, ready: report("greet", counters["sent"] - before, senders))
        self.fleet.drain()
        report("greet", senders, senders)


@dataclass
class LoginFigures:
    """Logins of all workers."""

    count: int
    failed: int
    seconds: float
    cpu_s: float
    latencies: list[array[int]]
    resumed: int = 0
    """TLS sessions taken up."""

    def add_to(self, run: Run, prefix: str = "login") -> None:
        """Into a record."""
        run.figures[f"{prefix}s"] = self.count
        run.figures[f"{prefix}s_failed"] = self.failed
        run.figures[f"{prefix}s_per_s"] = round(self.count / self.seconds, 1) if self.seconds else 0.0
        if self.count and self.cpu_s:
            run.figures[f"{prefix}_cpu_ms"] = round(self.cpu_s / self.count * 1e3, 4)
        run.latency[prefix] = results.summary(self.latencies)
