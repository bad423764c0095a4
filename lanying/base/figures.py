"""What a process counts, as numbers with a name and labels: in heartbeats, in ``status`` and on the metrics page.

A figure of a name that also has figures with labels is their total: ``messages`` beside ``messages`` of the kind ``chat``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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


def to_row(figures: Iterable[Figure]) -> dict[str, Any]:
    """As ``status`` has them: ``figures`` without labels by name, ``series`` one object for each with labels."""
    found = list(figures)
    return {"figures": totals(found), "series": [msgspec.to_builtins(one) for one in found if one.labels]}


def of_row(row: Mapping[str, Any]) -> list[Figure]:
    """What :func:`to_row` made. :raises msgspec.ValidationError: it made something else"""
    plain = [Figure(name, value) for name, value in row["figures"].items()]
    return plain + msgspec.convert(row.get("series", []), list[Figure])


def labelled(name: str, label: str, counts: Mapping[str, float]) -> list[Figure]:
    """One figure for each value of a label."""
    return [Figure(name, float(count), {label: text}) for text, count in counts.items()]
