"""Our server and its peers in turns under the same 1:1 chat: A B C A B C …, medians, ratios of CPU per message."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench import scenarios
from bench.bed import Common, Report
from bench.peers.hosts import PEERS
from bench.results import Run

OURS = "lanying"


@dataclass
class Standing:
    """All runs of one system at one rate."""

    system: str
    rate: float
    runs: list[Run] = field(default_factory=list)

    def figure(self, name: str) -> float | None:
        """Median of a figure, None when no run has it."""
        found = [run.figures[name] for run in self.runs if name in run.figures]
        return statistics.median(found) if found else None

    def latency(self, name: str, percentile: str) -> float | None:
        """Median over the runs, milliseconds."""
        found = [run.latency[name][percentile] / 1000 for run in self.runs if run.latency.get(name)]
        return statistics.median(found) if found else None

    def counted(self, name: str) -> int:
        """Sum of a count of the verdicts."""
        return sum(int(getattr(run.verdict, name)) for run in self.runs if run.verdict is not None)


def missing(names: Sequence[str]) -> dict[str, str]:
    """Peers that cannot be run here, with the reason."""
    return {name: f"not installed: apt install {name}" for name in names if not PEERS[name].installed()}


def compare(
    common: Common,
    report: Report,
    tell: Callable[[str], None],
    *,
    peers: Sequence[str],
    users: int,
    rates: Sequence[float],
    duration: float,
    rounds: int,
) -> list[Standing]:
    """Standings by rate, ours first.

    :param rates: messages per second in total; 0: closed loop
    """
    standings = [Standing(system, rate) for rate in rates for system in (OURS, *peers)]
    for turn in range(rounds):
        for standing in standings:
            tell(
                f"round {turn + 1} of {rounds}: {standing.system}, {f'{standing.rate:g}/s' if standing.rate else 'saturated'}"
            )
            one = common
            if standing.system != OURS:
                peer = PEERS[standing.system]
                one = replace(common, host=peer, transport=peer.protocol)
            run = scenarios.chat(
                one, report, users=users, rate=standing.rate, duration=duration, warm=2.0, pairing="any"
            )
            standing.runs.append(run)
    return standings
