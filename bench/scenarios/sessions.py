"""Sessions: how fast they come, and what they cost while nothing happens."""

from __future__ import annotations

import time

from bench import measure
from bench.bed import SETTLE_S, Bench, Common, Report
from bench.results import Run


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
    """Login storms: all users, ``rounds`` times; the first makes the devices, the later ones find them. With TLS all of these shake hands
    in full, and one more round takes up the sessions of the last."""
    with Bench(common, users) as bench:
        run = bench.run("login", concurrency=concurrency, rounds=rounds, rate=rate or "max", unread=unread)
        for number in range(rounds):
            if number:
                bench.log_out()
                time.sleep(1)
            found = bench.log_in(report, rate=rate, concurrency=concurrency, unread=unread)
            found.add_to(run, "first_login" if not number else "login")
            run.figures["logins_failed"] = run.figures.get("logins_failed", 0) + (found.failed if not number else 0)
        if bench.server.tls:
            bench.log_out()
            time.sleep(1)
            found = bench.log_in(report, rate=rate, concurrency=concurrency, unread=unread, resume=True)
            found.add_to(run, "resumed_login")
            run.figures["resumed"] = found.resumed
        counts, _ = bench.fleet.drain()
        run.add_errors(count.errors for count in counts)
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
