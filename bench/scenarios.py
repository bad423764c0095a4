"""The scenarios: each starts a server (or uses one), drives a :class:`~bench.load.Fleet` and returns a finished run.

Chat runs have four parts: log in; *greeting* (every sender one message, so that first contacts and device rows are
there, as in a server that runs since yesterday); warm-up and window under load; drain until nothing is outstanding.
CPU is that of the window; losses are counted over everything.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import measure, results, seed
from bench.load import (
    ChatOrder,
    ChatResult,
    DrainOrder,
    DrainResult,
    Fleet,
    LoginOrder,
    LoginResult,
    LogoutOrder,
    Member,
    Setting,
    now_us,
)
from bench.results import Run
from bench.server import Server, Target
from lanying.protocol.connection import SOCKETIO, XSYNC

TRANSPORTS = {"xsync": XSYNC, "socketio": SOCKETIO}
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
    hook: Callable[[Server, float], contextlib.AbstractContextManager[object]] | None = None
    """Something to do beside the window, for example a profiler; gets its length in seconds."""


Report = Callable[[str, float, float], None]
"""Progress: what is done, how far, of how much."""


class Bench:
    """A server, its users and the generator."""

    def __init__(self, common: Common, users: int, pairing: str = "any") -> None:
        self.common = common
        self.users = users
        self._pairing = pairing
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bench:
        common = self.common
        self.started_load = os.getloadavg()[0]
        self.server = self._stack.enter_context(Server(common.target, self.users))
        accounts = {account.uid: account for account in self.server.accounts}
        index = {uid: number for number, uid in enumerate(accounts)}
        order = list(accounts)
        random.Random(common.seed).shuffle(order)
        shard_of = seed.shard_function(self.server.data, common.target.shards)
        self.pairs = seed.pairs(order, shard_of, self._pairing)
        target = {one: other for pair in self.pairs for one, other in (pair, pair[::-1])}
        groups: list[list[Member]] = [[] for _ in range(common.workers)]
        for number, pair in enumerate(self.pairs):
            for uid in pair:
                groups[number % common.workers].append(
                    Member(index[uid], uid, accounts[uid].token, target[uid], index[target[uid]])
                )
        for number, uid in enumerate(uid for uid in order if uid not in target):
            groups[number % common.workers].append(Member(index[uid], uid, accounts[uid].token))
        self.members = [member for group in groups for member in group]
        self.groups = groups
        host, port = self.server.address
        now_ms = time.time_ns() // 1_000_000
        self.setting = Setting(
            host,
            port,
            marker=b"LB%04x" % (now_ms // 1000 & 0xFFFF),
            base=now_ms,
            size=common.size,
            kind=TRANSPORTS[common.transport],
            seed=common.seed,
        )
        self.fleet = self._stack.enter_context(Fleet(self.setting, groups))
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
        target = common.target
        base: dict[str, Any] = {
            "users": self.users,
            "workers": common.workers,
            "transport": common.transport,
            "content_bytes": common.size,
            "server": target.url or "private",
            "shards": target.shards,
            "durability": self.server.status().get("durability", target.durability),
        }
        machine = results.machine(self.server.data or Path())
        machine["load_before"] = round(self.started_load, 2)
        if self.preferred:
            base["nice"] = common.nice
        return Run(scenario, base | settings, common.seed, machine=machine)

    def log_in(self, report: Report, *, rate: float = 0.0, concurrency: int = 64, unread: bool = True) -> LoginFigures:
        """Everybody, at ``rate`` per second, or as fast as it goes with ``concurrency`` logins under way."""
        return self.log_in_some(report, 0.0, 1.0, rate=rate, concurrency=concurrency, unread=unread)

    def log_in_some(
        self,
        report: Report,
        start: float,
        stop: float,
        *,
        rate: float = 0.0,
        concurrency: int = 64,
        unread: bool = True,
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
        )

    def log_out(self) -> None:
        """Close all connections and let the server notice."""
        self.fleet.order(LogoutOrder())
        deadline = time.monotonic() + 10
        while self.server.figures().get("sessions", 0.0) and time.monotonic() < deadline:
            time.sleep(0.2)

    def greet(self, report: Report, rate: float = 2000.0) -> None:
        """One message of every sender."""
        before = self.fleet.total()[0]["received"]
        senders = 2 * len(self.pairs)
        order = ChatOrder(now_us() + LEAD_US, 0, 0, rate / self.fleet.workers, once=True, poisson=False)
        self.fleet.order(order, lambda counters, ready: report("greet", counters["received"] - before, senders))
        self.fleet.order(DrainOrder(), lambda counters, ready: report("greet", senders, senders))

    def chat(
        self, run: Run, report: Report, order: ChatOrder, rate: float
    ) -> tuple[list[ChatResult], list[DrainResult]]:
        """Load for ``order.warm + order.duration``, then drain. Fills in the figures of a chat.

        :param order: its ``start`` and ``rate`` are set here
        :param rate: messages per second of all workers, 0: closed loop
        """
        fleet, meter = self.fleet, self.meter
        start = now_us() + LEAD_US
        begin, end = start + order.warm, start + order.warm + order.duration
        order = replace(order, start=start, rate=rate / fleet.workers, pages=order.pages / fleet.workers)
        samples: list[measure.Sample] = []
        machine: list[float] = []
        memory: list[dict[str, measure.Memory]] = []
        sockets: list[int] = []
        figures: list[dict[str, float]] = []
        stack = contextlib.ExitStack()

        def look() -> None:
            samples.append(meter.sample())
            machine.append(measure.machine_busy())
            memory.append(meter.memory())
            sockets.append(measure.socket_memory())

        def open_window() -> None:
            look()
            if self.common.hook is not None:
                stack.enter_context(self.common.hook(self.server, order.duration / 1e6))

        def note() -> None:
            figures.append(self.server.figures())

        inner = range(begin + 1_000_000, end, 1_000_000)
        timers: list[tuple[int, Callable[[], None]]] = [
            (begin - 1, note),
            (begin, open_window),
            (end, look),
            (end + 1, note),
        ]
        timers += [(at, look) for at in inner]
        total_s = (order.warm + order.duration) / 1e6
        with stack:
            chats: list[ChatResult] = fleet.order(
                order,
                lambda counters, ready: report("chat", min(total_s, max(0.0, (now_us() - start) / 1e6)), total_s),
                timers,
            )
        drains: list[DrainResult] = fleet.order(
            DrainOrder(), lambda counters, ready: report("drain", counters["received"], counters["sent"])
        )
        self._figures(run, order, chats, drains, samples, machine, memory, sockets, figures)
        return chats, drains

    def _figures(
        self,
        run: Run,
        order: ChatOrder,
        chats: Sequence[ChatResult],
        drains: Sequence[DrainResult],
        samples: Sequence[measure.Sample],
        machine: Sequence[float],
        memory: Sequence[dict[str, measure.Memory]],
        sockets: Sequence[int],
        server: Sequence[dict[str, float]],
    ) -> None:
        seconds = order.duration / 1e6
        received = sum(chat.counters["received"] for chat in chats)
        batches = sum(chat.counters["batches"] for chat in chats)
        elapsed = samples[-1].at - samples[0].at
        used = measure.difference(samples[-1], samples[0])
        total = sum(used.values(), measure.Usage())
        generator = sum(chat.cpu_s for chat in chats)
        figures = run.figures
        figures["messages"] = received
        figures["messages_per_s"] = round(received / seconds, 1)
        figures["sent_per_s"] = round(sum(chat.counters["sent"] for chat in chats) / seconds, 1)
        if used and received:
            figures["cpu_us_per_message"] = round(total.cpu_s / received * 1e6, 1)
            figures["user_us_per_message"] = round(total.user_s / received * 1e6, 1)
            figures["system_us_per_message"] = round(total.system_s / received * 1e6, 1)
            figures["server_cores"] = round(total.cpu_s / elapsed, 3)
            figures["switches_per_message"] = round(total.switches / received, 3)
            figures["reads_per_message"] = round(total.reads / received, 3)
            figures["writes_per_message"] = round(total.writes / received, 3)
            figures["disk_bytes_per_message"] = round(total.disk_bytes / received, 1)
            if server and server[0]:
                commits = server[-1]["commits"] - server[0]["commits"]
                figures["commits_per_s"] = round(commits / elapsed, 1)
        figures["generator_cores"] = round(generator / elapsed, 3)
        others = machine[-1] - machine[0] - total.cpu_s - generator
        figures["other_cores"] = round(max(0.0, others) / elapsed, 3)
        figures["messages_per_push"] = round(received / batches, 2) if batches else 0.0
        if memory[-1]:
            figures["pss_bytes"] = sum(one.pss for one in memory[-1].values())
            figures["rss_bytes"] = sum(one.rss for one in memory[-1].values())
        figures["kernel_socket_bytes"] = max(sockets)
        delivered = results.per_second([drain.delivered for drain in drains])
        acknowledged = results.per_second([drain.acknowledged for drain in drains])
        run.latency["deliver"] = results.summary(delivered)
        run.latency["acknowledge"] = results.summary(acknowledged)
        if order.rate:
            run.latency["late"] = results.summary([chat.late for chat in chats])
        pages = results.summary([chat.pages for chat in chats])
        if pages:
            run.latency["page"] = pages
            figures["pages_per_s"] = round(pages["count"] / seconds, 1)
        figures["worst_10s_mean_us"] = round(results.worst_mean(delivered), 1)
        run.seconds = list(_series(delivered, samples, memory))
        for name, one in used.items():
            row = {key: round(value, 4) for key, value in asdict(one).items()}
            last = memory[-1].get(name, measure.Memory())
            run.processes[name] = row | {"pss": last.pss, "rss": last.rss}
        run.verdict = results.judge(self.members, drains)
        run.add_errors(drain.errors for drain in drains)


def _series(
    delivered: Sequence[array[int]], samples: Sequence[measure.Sample], memory: Sequence[dict[str, measure.Memory]]
) -> Iterator[dict[str, float]]:
    for second, values in enumerate(delivered):
        row: dict[str, float] = {"messages": float(len(values))}
        if values:
            ordered = sorted(values)
            row |= {
                "p50": ordered[len(ordered) // 2],
                "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
                "max": ordered[-1],
            }
        if second + 1 < len(samples):
            later, earlier = samples[second + 1], samples[second]
            span = later.at - earlier.at
            row["cores"] = round((later.total - earlier.total).cpu_s / span, 3) if span else 0.0
            row["pss"] = float(sum(one.pss for one in memory[second + 1].values()))
        yield row


@dataclass
class LoginFigures:
    """Logins of all workers."""

    count: int
    failed: int
    seconds: float
    cpu_s: float
    latencies: list[array[int]]

    def add_to(self, run: Run, prefix: str = "login") -> None:
        """Into a record."""
        run.figures[f"{prefix}s"] = self.count
        run.figures[f"{prefix}s_failed"] = self.failed
        run.figures[f"{prefix}s_per_s"] = round(self.count / self.seconds, 1) if self.seconds else 0.0
        if self.count and self.cpu_s:
            run.figures[f"{prefix}_cpu_ms"] = round(self.cpu_s / self.count * 1e3, 4)
        run.latency[prefix] = results.summary(self.latencies)


def chat(
    common: Common,
    report: Report,
    *,
    users: int,
    rate: float,
    duration: float,
    warm: float = 3.0,
    pairing: str = "cross",
    window: int = 1,
    senders: int = 0,
    even: bool = False,
) -> Run:
    """1:1 chat at ``rate`` per second in total, or with ``window`` messages per sender under way (``rate`` 0)."""
    with Bench(common, users, pairing) as bench:
        run = bench.run(
            "chat",
            rate=rate or "max",
            duration_s=duration,
            warm_s=warm,
            pairs=pairing,
            **(
                {"arrivals": "even" if even else "poisson"} if rate else {"window": window, "senders": senders or users}
            ),
        )
        logins = bench.log_in(report)
        logins.add_to(run)
        bench.greet(report)
        order = ChatOrder(
            0,
            int(warm * 1e6),
            int(duration * 1e6),
            window=window,
            senders=-(-senders // common.workers),
            poisson=not even,
        )
        bench.chat(run, report, order, rate)
        return run


def login(
    common: Common,
    report: Report,
    *,
    users: int,
    concurrency: int,
    rounds: int = 3,
    rate: float = 0.0,
    unread: bool = False,
) -> Run:
    """Login storms: all users, ``rounds`` times; the first makes the devices, the later ones find them."""
    with Bench(common, users) as bench:
        run = bench.run("login", concurrency=concurrency, rounds=rounds, rate=rate or "max", unread=unread)
        for number in range(rounds):
            if number:
                bench.log_out()
                time.sleep(1)
            found = bench.log_in(report, rate=rate, concurrency=concurrency, unread=unread)
            found.add_to(run, "first_login" if not number else "login")
            run.figures["logins_failed"] = run.figures.get("logins_failed", 0) + (found.failed if not number else 0)
        drains: list[DrainResult] = bench.fleet.order(DrainOrder())
        run.add_errors(drain.errors for drain in drains)
        return run


def idle(common: Common, report: Report, *, users: int, settle: float = SETTLE_S) -> Run:
    """Memory of sessions that do nothing: proportional set size without, with half and with all of them.

    The devices exist before, and the server is started afresh: what is left is the session itself.
    """
    with Bench(common, users) as bench:
        bench.log_in(report, unread=False)
        bench.log_out()
        fresh = bench.server.restart()
        bench.look_at_server()
        run = bench.run("idle", settle_s=settle, fresh_server=fresh)
        looks: list[tuple[int, dict[str, measure.Memory], int, int, float]] = []

        def look(sessions: int) -> None:
            time.sleep(settle)
            looks.append(
                (
                    sessions,
                    bench.meter.memory(),
                    measure.socket_memory(),
                    measure.slab_memory(),
                    bench.server.figures().get("memory_bytes", 0.0),
                )
            )

        look(0)
        half = bench.log_in_some(report, 0.0, 0.5)
        look(half.count)
        rest = bench.log_in_some(report, 0.5, 1.0)
        look(half.count + rest.count)
        before = bench.meter.sample()
        time.sleep(settle)
        resting = bench.meter.sample()
        figures = run.figures
        count, memory, sockets, slab, tables = looks[-1]
        base, middle = looks[0], looks[1]
        sums = [sum(one.pss for one in look[1].values()) for look in looks]
        figures["sessions"] = count
        figures["pss_bytes"] = sums[-1]
        figures["pss_bytes_without_sessions"] = sums[0]
        figures["pss_per_session"] = round((sums[-1] - sums[0]) / count, 1)
        figures["pss_per_session_second_half"] = round((sums[-1] - sums[1]) / (count - middle[0]), 1)
        figures["memtable_per_session"] = round((tables - base[4]) / count, 1)
        figures["kernel_socket_bytes_per_session"] = round((sockets - base[2]) / count, 1)
        figures["kernel_slab_bytes_per_session_both_ends"] = round((slab - base[3]) / count, 1)
        figures["resting_cores"] = round((resting.total - before.total).cpu_s / (resting.at - before.at), 4)
        for name, one in memory.items():
            start = base[1].get(name, measure.Memory())
            run.processes[name] = {
                "pss": one.pss,
                "rss": one.rss,
                "pss_per_session": round((one.pss - start.pss) / count, 1),
            }
        return run


def pi4000(
    common: Common, report: Report, *, users: int = 4000, compressed: bool = False, duration: float = 0.0
) -> Run:
    """The seed's published test: 4,000 users log in at 20/s, then chat at 20/s in total. Compressed: 200/s and 60 s."""
    login_rate = 200.0 if compressed else 20.0
    chat_rate = 200.0 if compressed else 20.0
    seconds = duration or (60.0 if compressed else 300.0)
    with Bench(common, users, "any") as bench:
        run = bench.run(
            "pi4000", login_rate=login_rate, rate=chat_rate, duration_s=seconds, compressed=compressed, pairs="any"
        )
        bench.log_in(report, rate=login_rate).add_to(run)
        bench.chat(run, report, ChatOrder(0, 0, int(seconds * 1e6)), chat_rate)
        return run


def history(
    common: Common, report: Report, *, users: int, depth: int, pages: float, rate: float, duration: float
) -> Run:
    """History pages of 20 at ``pages`` per second while messages flow; every conversation is ``depth`` deep."""
    with Bench(common, users, "cross") as bench:
        run = bench.run("history", depth=depth, pages=pages, rate=rate, duration_s=duration)
        bench.log_in(report).add_to(run)
        for _ in range(-(-depth // 2)):
            bench.greet(report, rate=4000.0)
        bench.chat(run, report, ChatOrder(0, 1_000_000, int(duration * 1e6), pages=pages), rate)
        return run
