"""Plots in SVG for the report: lines over time or by percentile, bars. No script, no reference to the outside."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LEFT, RIGHT, TOP, BOTTOM = 54, 22, 10, 28
BLUE, ORANGE, GREY, GREEN = "#2563eb", "#ea580c", "#94a3b8", "#059669"
COLOURS = (BLUE, ORANGE, GREEN, "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#a16207", "#475569", "#dc2626")


@dataclass(frozen=True)
class Line:
    """Points of one series. ``name`` is written into the plot's key; empty: not in the key."""

    points: Sequence[tuple[float, float]]
    colour: str
    name: str = ""


def colour(number: int) -> str:
    """Of the run with this number."""
    return COLOURS[number % len(COLOURS)]


def nines(percent: float) -> float:
    """0 %, 90 %, 99 %, 99.9 % … at equal distances."""
    return -math.log10(max(1e-9, 1 - percent / 100))


def seconds(length: float) -> list[tuple[float, str]]:
    """Ticks of a time axis of ``length`` seconds; minutes or hours where that reads better."""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if length >= 3 * size or size == 1
    )
    step = _nice(max(length / size, 1) / 5)
    return [(step * i * size, f"{step * i:g} {unit}") for i in range(int(length / size / step) + 1)]


def _nice(value: float) -> float:
    """1, 2 or 5 times a power of ten, not below ``value``."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999)


def lines(
    caption: str,
    some: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    *,
    log: bool = False,
    size: tuple[int, int] = (640, 260),
) -> str:
    """A figure; empty without points. ``ticks``: of the horizontal axis. A logarithmic axis starts at 0.001."""
    some = [line for line in some if line.points]
    if not some:
        return ""
    width, height = size
    xs = [x for line in some for x, _ in line.points]
    ys = [y for line in some for _, y in line.points]
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1e-9)
    scale, labels = _log_scale(ys) if log else _linear_scale(ys)
    inner_w, inner_h = width - LEFT - RIGHT, height - TOP - BOTTOM

    def at_x(x: float) -> float:
        return LEFT + (x - low_x) / (high_x - low_x) * inner_w

    def at_y(y: float) -> float:
        return TOP + (1 - scale(y)) * inner_h

    parts = []
    for value, text in labels:
        y = at_y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in ticks:
        if low_x - 1e-9 <= value <= high_x + 1e-9:
            parts.append(f'<text x="{at_x(value):.1f}" y="{height - BOTTOM + 17}" text-anchor="middle">{text}</text>')
    for line in some:
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in line.points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.8" stroke-linejoin="round"/>'
        )
    key = "".join(
        f'<span class="name"><span class="key" style="background:{line.colour}"></span>{html.escape(line.name)}</span>'
        for line in some
        if line.name
    )
    return _figure(caption, key, parts, width, height)


def _linear_scale(values: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    top = max(max(values), 1e-9)
    step = _nice(top / 4)
    high = step * math.ceil(top / step - 1e-9)
    return lambda y: y / high, [(step * i, f"{step * i:,.10g}") for i in range(round(high / step) + 1)]


def _log_scale(values: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    floor = 1e-3
    low = math.floor(math.log10(max(min(values), floor)))
    high = max(low + 1, math.ceil(math.log10(max(max(values), floor))))
    labels = [(10.0**power, f"{10.0**power:,g}") for power in range(low, high + 1)]
    return lambda y: (math.log10(max(y, floor)) - low) / (high - low), labels


def bars(caption: str, rows: Sequence[tuple[str, float, str]], size: int = 640) -> str:
    """Horizontal bars: (name, value, colour); empty without rows."""
    if not rows:
        return ""
    high = max(max(value for _, value, _ in rows), 1e-9)
    parts = []
    left, row = 250, 26
    for place, (name, value, fill) in enumerate(rows):
        y = TOP + place * row
        width = max(0.0, value) / high * (size - left - 90)
        parts.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="16" rx="3" fill="{fill}"/>')
        parts.append(f'<text class="value" x="{left + 6 + width:.1f}" y="{y + 14}">{value:,.4g}</text>')
    return _figure(caption, "", parts, size, TOP * 2 + row * len(rows))


def _figure(caption: str, key: str, parts: Sequence[str], width: float, height: float) -> str:
    return (
        f'<figure><figcaption>{html.escape(caption)}<span class="names">{key}</span></figcaption>'
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(caption)}">{"".join(parts)}</svg></figure>'
    )
