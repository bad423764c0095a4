"""Everything that a budget is written for and that minutes can show, in one run: what a message costs at ordinary rates and saturated, what
idling costs, a peer beside us, a slow disk, a group, a server at rest and its start.

Each part is short. What needs hours or millions of messages is named and not measured: ``soak``, costs as data grows.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench import counts
from bench.bars import Bar
from bench.bed import SETTLE_S, Bench, Common, Report
from bench.compare import CompareError, Version
from bench.host import TEMPORARY, Target
from bench.orders import ChatOrder
from bench.peers import turns
from bench.people import OneGroup, Pairs
from bench.results import Run
from bench.scenarios.disk import disk
from bench.server import Server
from bench.slow_disk import NoSlowDisk
from bench.window import load

PEER: Final = "prosody"
RATES: Final = (20.0, 200.0, 500.0, 1000.0)
SLOW_MS: Final = 20.0
REST_SHARDS: Final = 4
MIB: Final = 1 << 20
LONG: Final = "needs longer: see docs/benchmarks.md"

BARS: Final = (
    Bar("us_1000", "1:1 across shards at 1,000/s, CPU µs", 250, 150, "482"),
    Bar("peer_ratio_200", "the same at 200/s, × Prosody in the same run", 0.6, 0.4, "1.13"),
    Bar("us_max", "saturated, CPU µs", 50, 35, "59"),
    Bar("lone_us", "a lone message at 20/s, beyond what idling costs, CPU µs", 1000, 500, "2,700"),
    Bar("idle_cores", "1,000 users online, nobody writing, cores", 0.015, 0.01, "0.046"),
    Bar("calls_alone", "Python calls of a lone message (counted)", 120, 80, "214"),
    Bar("syncs_alone", "commits with a sync, a message alone (counted)", 1, 1, "2"),
    Bar("p50_1000", "p50 at 1,000/s, ms", 1.2, 0.8, "2.1"),
    Bar("p99_1000", "p99 at 1,000/s, ms", 6, 4, "8.6"),
    Bar("p50_slow_disk", "p50 of a lone message with a disk that syncs in 20 ms", SLOW_MS + 2, None, "two syncs"),
    Bar("rest_mb", "tree at rest, 4 shards, PSS MB", 150, 110, "235"),
    Bar("start_ratio", "start to ready, 4 shards, × the commit of --against", 0.6, None, "1"),
    Bar("group_us_20", "group copy at 20/s, CPU µs", 10, 6, "12"),
    Bar("group_us_100", "group copy at 100/s, CPU µs", 8, 6, "10.5"),
    Bar("growth", "cost at 10 M messages stored, × an empty store", 1.15, 1.05, "1.53 after 1.9 M"),
    Bar("written_per_row_byte", "bytes written per byte of rows, sustained", 2, 1.5, "3"),
    Bar("soak", "soak, 1 h at 500/s: what grows", 0, None, "207 → 217 MB"),
    Bar("disk_bytes_500", "bytes written to the disk per message at 500/s", 4000, 2000, "7,796"),
    *(
        Bar(f"{name}_{rate:g}", f"{what} per message at {rate:g}/s")
        for name, what in (("switches", "context switches"), ("reads", "reads"), ("writes", "writes"))
        for rate in (20, 200, 1000)
    ),
    Bar("us_20", "a message at 20/s, idling included, CPU µs"),
    Bar("us_200", "a message at 200/s, CPU µs"),
    Bar("p50_20", "p50 at 20/s, ms"),
    Bar("p99_20", "p99 at 20/s, ms"),
    Bar("start_s", "start to ready, 4 shards, s"),
    Bar("start_cpu_s", "start to ready, 4 shards, CPU s"),
)


@dataclass
class Review:
    """What has been measured so far.

    :ivar why: by figure, why it could not be
    :ivar others: cores that other processes used, at the worst
    """

    figures: dict[str, float] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    others: float = 0.0

    def take(self, run: Run) -> Run:
        """Note a part."""
        self.runs.append(run)
        self.others = max(self.others, run.figures.get("other_cores", 0.0))
        return run


def budgets(
    common: Common,
    report: Report,
    tell: Callable[[str], None],
    *,
    users: int,
    members: int,
    seconds: float,
    against: str,
) -> Run:
    """All parts, one after the other.

    :param seconds: of each part; at 20/s twice that
    :param against: a commit whose start ours is compared with; empty: none
    """
    review = Review(why={"growth": LONG, "written_per_row_byte": LONG, "soak": "lanying-bench soak --hours 1"})
    counted = counts.count()
    review.figures |= {"calls_alone": counted["cross_alone_calls"], "syncs_alone": counted["cross_alone_flushes"]}
    tell(f"a server at rest, {REST_SHARDS} shards, and its start")
    _rest(common, review, against)
    tell(f"{users} users: idling, {', '.join(f'{rate:g}/s' for rate in RATES)}, saturated")
    whole = _rates(common, report, review, users, seconds)
    tell(f"{PEER} beside us at 200/s, in turns")
    _peer(common, report, review, tell, seconds)
    tell(f"a disk that syncs in {SLOW_MS:g} ms")
    try:
        slow = disk(common, report, users=min(users, 200), rate=20.0, seconds=seconds, syncs_ms=(SLOW_MS,))
        review.figures["p50_slow_disk"] = slow.steps[0]["p50_ms"]
        review.take(slow)
    except NoSlowDisk as error:
        review.why["p50_slow_disk"] = str(error)
    tell(f"a group of {members}")
    _group(common, report, review, members, seconds)
    whole.figures = review.figures
    whole.notes = review.why
    whole.machine["others"] = review.others
    whole.latency, whole.seconds, whole.processes = {}, [], {}
    for run in review.runs:
        if run.verdict is not None and (whole.verdict is None or not run.verdict.good):
            whole.verdict = run.verdict
    return whole


def _rates(common: Common, report: Report, review: Review, users: int, seconds: float) -> Run:
    """One server: nobody writes, then each rate, then as fast as it goes."""
    found = review.figures
    with Bench(common, users, Pairs("cross")) as bench:
        whole = bench.run("budgets", seconds=seconds)
        bench.log_in(report).add_to(review.take(Run("login", {})))
        bench.greet(report)
        time.sleep(SETTLE_S)
        before = bench.meter.sample()
        time.sleep(seconds)
        after = bench.meter.sample()
        found["idle_cores"] = round((after.total - before.total).cpu_s / (after.at - before.at), 4)
        for rate in RATES:
            run = review.take(Run("chat", {}))
            length = seconds * (2 if rate < 100 else 1)
            load(bench, run, report, ChatOrder(0, 2_000_000, int(length * 1e6)), rate, f"{rate:g}/s")
            _note(found, run, f"{rate:g}")
        run = review.take(Run("chat", {}))
        load(bench, run, report, ChatOrder(0, 2_000_000, int(seconds * 1e6), window=4), 0.0, "max")
        _note(found, run, "max")
        found["lone_us"] = round((found["cores_20"] - found["idle_cores"]) / 20 * 1e6, 1)
    return whole


def _note(found: dict[str, float], run: Run, rate: str) -> None:
    figures, deliver = run.figures, run.latency.get("deliver") or {}
    for short, name in (
        ("us", "cpu_us_per_message"),
        ("cores", "server_cores"),
        ("switches", "switches_per_message"),
        ("reads", "reads_per_message"),
        ("writes", "writes_per_message"),
        ("disk_bytes", "disk_bytes_per_message"),
    ):
        if name in figures:
            found[f"{short}_{rate}"] = figures[name]
    for name in ("p50", "p99"):
        if name in deliver:
            found[f"{name}_{rate}"] = deliver[name] / 1000


def _peer(common: Common, report: Report, review: Review, tell: Callable[[str], None], seconds: float) -> None:
    missing = turns.missing([PEER])
    if missing:
        review.why["peer_ratio_200"] = missing[PEER]
        return
    standings = turns.compare(
        common, report, tell, peers=[PEER], users=500, rates=[200.0], duration=seconds / 2, rounds=2
    )
    ours, theirs = (one.figure("cpu_us_per_message") for one in standings)
    for run in standings[0].runs:
        review.take(run)
    if ours and theirs:
        review.figures["peer_ratio_200"] = round(ours / theirs, 3)


def _group(common: Common, report: Report, review: Review, members: int, seconds: float) -> None:
    with Bench(common, members, OneGroup(min(8, members - common.workers))) as bench:
        bench.log_in(report)
        bench.greet(report, rate=20.0)
        for rate in (20.0, 100.0):
            run = review.take(Run("group", {}))
            load(bench, run, report, ChatOrder(0, 2_000_000, int(seconds * 1e6)), rate, f"group {rate:g}/s")
            review.figures[f"group_us_{rate:g}"] = run.figures.get("cpu_us_per_copy", 0.0)


def _rest(common: Common, review: Review, against: str) -> None:
    """Starts in turns; memory once it has settled."""
    ours: list[float] = []
    theirs: list[float] = []
    with contextlib.ExitStack() as stack:
        older: tuple[str, ...] = ()
        if against:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lanying-bench-", dir=TEMPORARY)))
            try:
                version = Version(against, directory)
            except CompareError as error:
                review.why["start_ratio"] = str(error)
            else:
                stack.callback(version.remove)
                older = ("env", "-C", str(version.stage), f"PYTHONPATH={version.stage}")
        else:
            review.why["start_ratio"] = "name a commit with --against"
        for last in (False, False, True):
            if older:
                theirs.append(_start(common.target, older, None))
            ours.append(_start(common.target, common.target.prefix, review.figures if last else None))
    review.figures["start_s"] = round(min(ours), 3)
    if theirs:
        review.figures["start_ratio"] = round(min(ours) / min(theirs), 3)


def _start(target: Target, prefix: tuple[str, ...], found: dict[str, float] | None) -> float:
    """Seconds from start to ready of a server with no accounts; with ``found`` also what it takes at rest."""
    began = time.monotonic()
    with Server(replace(target, shards=REST_SHARDS, prefix=prefix), 0) as server:
        took = time.monotonic() - began
        if found is not None:
            meter = server.meter()
            found["start_cpu_s"] = round(meter.sample().total.cpu_s, 3)
            time.sleep(SETTLE_S)
            found["rest_mb"] = round(sum(one.pss for one in meter.memory().values()) / MIB, 1)
    return took
