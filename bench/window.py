"""The measured window of a run: load by the clock, one look at the server per second, everything counted at the end."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench import board, measure, results
from bench.bed import LEAD_US, Bench, Report
from bench.orders import ChatOrder, ChatResult, CountResult, now_us
from bench.results import Run


@dataclass
class Looks:
    """What was seen of the server from the beginning to the end of the window, about once a second.

    :ivar sockets: kernel memory of all TCP sockets, bytes
    :ivar figures: the shards' own counters at both ends
    :ivar board: temperature, clock, throttling, where the machine tells
    """

    samples: list[measure.Sample] = field(default_factory=list)
    machine: list[float] = field(default_factory=list)
    memory: list[dict[str, measure.Memory]] = field(default_factory=list)
    sockets: list[int] = field(default_factory=list)
    figures: list[dict[str, float]] = field(default_factory=list)
    board: list[dict[str, Any]] = field(default_factory=list)

    def look(self, bench: Bench) -> None:
        """One look."""
        self.samples.append(bench.meter.sample())
        self.machine.append(measure.machine_busy())
        self.memory.append(bench.meter.memory())
        self.sockets.append(measure.socket_memory())
        self.board.append(board.look())


def load(
    bench: Bench,
    run: Run,
    report: Report,
    order: ChatOrder,
    rate: float,
    part: str = "chat",
    *,
    every_s: int = 1,
    observe: Callable[[], None] = lambda: None,
) -> list[CountResult]:
    """Load for ``order.warm + order.duration``, then drain. Fills in the figures of a chat.

    :param order: its ``start`` and ``rate`` are set here
    :param rate: messages per second of all workers, 0: closed loop
    :param every_s: seconds between two looks; ``run.seconds`` has a row for each
    :param observe: called at every look
    """
    fleet, looks = bench.fleet, Looks()
    start = now_us() + LEAD_US
    begin, end = start + order.warm, start + order.warm + order.duration
    order = replace(order, start=start, rate=rate / fleet.workers, pages=order.pages / fleet.workers)
    stack = contextlib.ExitStack()

    def look() -> None:
        looks.look(bench)
        observe()

    def open_window() -> None:
        look()
        if bench.common.hook is not None:
            stack.enter_context(bench.common.hook(bench.server, order.duration / 1e6))

    def note() -> None:
        looks.figures.append(bench.server.figures())

    inner = range(begin + every_s * 1_000_000, end, every_s * 1_000_000)
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
            lambda counters, ready: report(part, min(total_s, max(0.0, (now_us() - start) / 1e6)), total_s),
            timers,
        )
    counts, rescued = fleet.drain(lambda counters, ready: report("drain", counters["received"], counters["owed"]))
    _figures(run, order, chats, counts, looks, every_s)
    run.verdict = results.judge(bench.audience, counts, rescued)
    run.errors = {}
    run.add_errors(count.errors for count in counts)
    return counts


def _figures(
    run: Run,
    order: ChatOrder,
    chats: Sequence[ChatResult],
    counts: Sequence[CountResult],
    looks: Looks,
    every_s: int,
) -> None:
    """What happened between the edges of the window."""
    seconds = order.duration / 1e6
    total_of = {name: sum(chat.counters[name] for chat in chats) for name in chats[0].counters}
    received, batches = total_of["received"], total_of["batches"]
    grouped = total_of["owed"] > total_of["sent"] > 0
    messages = total_of["sent"] if grouped else received
    figures = run.figures
    figures["messages"] = messages
    figures["messages_per_s"] = round(messages / seconds, 1)
    figures["sent_per_s"] = round(total_of["sent"] / seconds, 1)
    if grouped:
        figures["copies"] = received
        figures["copies_per_s"] = round(received / seconds, 1)
    _costs(run, looks, messages, received if grouped else 0, sum(chat.cpu_s for chat in chats))
    figures["messages_per_push"] = round(received / batches, 2) if batches else 0.0
    delivered = results.per_second([count.delivered for count in counts])
    run.latency["deliver"] = results.summary(delivered)
    run.latency["acknowledge"] = results.summary(results.per_second([count.acknowledged for count in counts]))
    if order.rate:
        run.latency["late"] = results.summary([chat.late for chat in chats])
    pages = results.summary([chat.pages for chat in chats])
    if pages:
        run.latency["page"] = pages
        figures["pages_per_s"] = round(pages["count"] / seconds, 1)
    figures["worst_10s_mean_us"] = round(results.worst_mean(delivered), 1)
    run.seconds = list(_series(delivered, looks, every_s))


def _costs(run: Run, looks: Looks, messages: int, copies: int, generator_s: float) -> None:
    """CPU, calls and memory of the window; ``copies`` 0: messages are not copied."""
    figures, samples, memory = run.figures, looks.samples, looks.memory[-1]
    elapsed = samples[-1].at - samples[0].at
    used = measure.difference(samples[-1], samples[0])
    total = sum(used.values(), measure.Usage())
    if used and messages:
        figures["cpu_us_per_message"] = round(total.cpu_s / messages * 1e6, 1)
        if copies:
            figures["cpu_us_per_copy"] = round(total.cpu_s / copies * 1e6, 2)
        figures["user_us_per_message"] = round(total.user_s / messages * 1e6, 1)
        figures["system_us_per_message"] = round(total.system_s / messages * 1e6, 1)
        figures["server_cores"] = round(total.cpu_s / elapsed, 3)
        figures["switches_per_message"] = round(total.switches / messages, 3)
        figures["reads_per_message"] = round(total.reads / messages, 3)
        figures["writes_per_message"] = round(total.writes / messages, 3)
        figures["disk_bytes_per_message"] = round(total.disk_bytes / messages, 1)
        if looks.figures and "commits" in looks.figures[0] and "commits" in looks.figures[-1]:
            commits = looks.figures[-1]["commits"] - looks.figures[0]["commits"]
            figures["commits_per_s"] = round(commits / elapsed, 1)
    figures["generator_cores"] = round(generator_s / elapsed, 3)
    others = looks.machine[-1] - looks.machine[0] - total.cpu_s - generator_s
    figures["other_cores"] = round(max(0.0, others) / elapsed, 3)
    if memory:
        figures["pss_bytes"] = sum(one.pss for one in memory.values())
        figures["rss_bytes"] = sum(one.rss for one in memory.values())
    figures["kernel_socket_bytes"] = max(looks.sockets)
    for name, choose in (("celsius", max), ("clock_mhz", min)):
        seen = [one[name] for one in looks.board if name in one]
        if seen:
            figures[f"{name}_{choose.__name__}"] = choose(seen)
    if "throttled" in looks.board[-1]:
        run.machine["throttled"] = looks.board[-1]["throttled"]
    for name, one in used.items():
        row = {key: round(value, 4) for key, value in asdict(one).items()}
        last = memory.get(name, measure.Memory())
        run.processes[name] = row | {"pss": last.pss, "rss": last.rss}


def _series(delivered: Sequence[array[int]], looks: Looks, every_s: int) -> Iterator[dict[str, float]]:
    """A row for every look but the first: what came since the one before, and how the server stood."""
    samples, memory = looks.samples, looks.memory
    for number, first in enumerate(range(0, len(delivered), every_s)):
        values = array("I")
        for second in delivered[first : first + every_s]:
            values.extend(second)
        row: dict[str, float] = {"messages": len(values) / every_s}
        if values:
            ordered = sorted(values)
            row |= {
                "p50": ordered[len(ordered) // 2],
                "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
                "max": ordered[-1],
            }
        if number + 1 < len(samples):
            later, earlier = samples[number + 1], samples[number]
            span = later.at - earlier.at
            row["cores"] = round((later.total - earlier.total).cpu_s / span, 3) if span else 0.0
            row["cpu_us"] = round(row["cores"] * 1e6 * every_s / len(values), 1) if values else 0.0
            row["sockets"] = float(looks.sockets[number + 1])
            row["pss"] = float(sum(one.pss for one in memory[number + 1].values()))
        yield row
