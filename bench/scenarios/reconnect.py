"""Everybody comes back at once: a router was restarted, a school's power is back. Within the limits of a Raspberry Pi.

Some stay and chat all the while; the others are cut off, and then connect, all in the same moment, with full handshakes where the server
has TLS. Who is turned away tries again, as an app does. What counts: when the last one is in, and what those who stayed felt of it.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench import results
from bench.bed import LEAD_US, Bench, Common, Report
from bench.host import Host
from bench.limiter import Limiter
from bench.orders import ChatOrder, ChatResult, LoginOrder, LoginResult, LogoutOrder, now_us
from bench.people import Pairs, People
from bench.results import Run

RETRY_S: Final = 1.0
LOGIN_RATE: Final = 200.0
"""Of the first arrival, which is not what is measured."""


@dataclass(frozen=True)
class Storm:
    """The first ``staying`` are in pairs and have worker 0 for themselves; the others have no partner.

    :ivar staying: how many
    """

    staying: int

    def arrange(self, server: Host, order: Sequence[int], workers: int, chance: random.Random) -> People:
        """Who stays."""
        people = Pairs("any").arrange(server, order[: self.staying], workers, chance)
        people.seats = dict.fromkeys(order[: self.staying], 0)
        for number, uid in enumerate(order[self.staying :]):
            people.units.append((uid,))
            people.seats[uid] = 1 + number % (workers - 1)
        return people


def reconnect(
    common: Common,
    report: Report,
    *,
    limiter: Limiter | None,
    users: int = 4000,
    staying: int = 200,
    rate: float = 20.0,
    seconds: float = 40.0,
) -> Run:
    """``users`` reconnect at once while ``staying`` others chat at ``rate`` for ``seconds``."""
    common = replace(common, workers=max(2, common.workers))
    with contextlib.ExitStack() as stack:
        if limiter is not None:
            stack.enter_context(limiter)
            common = replace(common, target=replace(common.target, prefix=limiter.prefix))
        bench = stack.enter_context(Bench(common, users + staying, Storm(staying)))
        run = bench.run(
            "reconnect",
            limits=limiter.description if limiter is not None else "none",
            staying=staying,
            rate=rate,
            duration_s=seconds,
        )
        bench.log_in(report, rate=LOGIN_RATE).add_to(run, "first_login")
        bench.greet(report)
        bench.fleet.order([None] + [LogoutOrder()] * (common.workers - 1))
        time.sleep(2)
        _storm(bench, run, report, users, rate, seconds)
        if limiter is not None:
            run.figures["throttled_s"] = round(limiter.throttled_s(), 2)
            run.figures["memory_peak_bytes"] = limiter.memory_peak()
        return run


def _storm(bench: Bench, run: Run, report: Report, users: int, rate: float, seconds: float) -> None:
    start = now_us() + LEAD_US
    chat = ChatOrder(start, 0, int(seconds * 1e6), rate)
    back = [LoginOrder(0, len(group), 0.0, users, start, retry_s=RETRY_S) for group in bench.groups[1:]]
    before = bench.meter.sample()
    found = bench.fleet.order(
        [chat, *back], lambda counters, ready: report("back", ready, users + len(bench.groups[0]))
    )
    used = (bench.meter.sample().total - before.total).cpu_s
    chats = [one for one in found if isinstance(one, ChatResult)]
    logins = [one for one in found if isinstance(one, LoginResult)]
    counts, rescued = bench.fleet.drain()
    all_in = (max(one.ended_us for one in logins) - start) / 1e6
    delivered = results.per_second([count.delivered for count in counts])
    during, after = delivered[: int(all_in) + 1], delivered[int(all_in) + 1 :]
    run.figures |= {
        "logins": sum(len(one.latencies) for one in logins),
        "logins_failed": sum(one.failed for one in logins),
        "retries": sum(one.retries for one in logins),
        "resumed": sum(one.resumed for one in logins),
        "all_in_s": round(all_in, 2),
        "messages": sum(one.counters["sent"] for one in chats),
        "server_cpu_s": round(used, 2),
        "generator_cores": round(sum(one.cpu_s for one in chats) / seconds, 3),
    }
    run.latency["login"] = results.summary([one.latencies for one in logins])
    run.latency["deliver"] = results.summary(during)
    run.latency["deliver_afterwards"] = results.summary(after)
    run.verdict = results.judge(bench.audience, counts, rescued)
    run.add_errors(count.errors for count in counts)
