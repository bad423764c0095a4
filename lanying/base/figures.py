"""What a process counts, as numbers with a name and labels: in heartbeats, in ``status`` and on the metrics page.

A figure of a name that also has figures with labels is their total: ``messages`` beside ``messages`` of the kind ``chat``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A number at one moment: a counter since the start of the process, or a gauge.

    :ivar labels: what it is about, for example ``{"kind": "chat"}``; empty for a total
    """

    name: str
    value: float
    labels: dict[str, str] = {}


def totals(figures: Iterable[Figure]) -> dict[str, float]:
    """Those without labels, by name."""
    return {one.name: one.value for one in figures if not one.labels}


def labelled(name: str, label: str, counts: Mapping[str, float]) -> list[Figure]:
    """One figure for each value of a label."""
    return [Figure(name, float(count), {label: text}) for text, count in counts.items()]
