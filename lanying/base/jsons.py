"""Reading JSON that others wrote: clients' texts, bodies of requests, answers of vendors. Nothing else in the product decodes those.

What comes out is at most :data:`DEEPEST` levels deep, so that whatever walks over it, prints it or encodes it again stays far from the
interpreter's limit.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

DEEPEST: Final = 32
"""Levels of lists and objects: what people write by hand has five."""
_decode = msgspec.json.Decoder().decode


class TooDeep(ValueError):
    """JSON, and nested deeper than :data:`DEEPEST`."""


def read(text: str | bytes) -> Any:
    """The value. :raises TooDeep: nested deeper than that. :raises ValueError: not JSON"""
    try:
        found = _decode(text)
    except RecursionError:
        raise TooDeep(f"nested deeper than {DEEPEST} levels") from None
    if _may_be_deep(text) and _depth(found) > DEEPEST:
        raise TooDeep(f"nested deeper than {DEEPEST} levels")
    return found


def loads_object(text: str | bytes) -> dict[str, Any] | None:
    """The object in a text that a user wrote; None: it is something else, or nested too deeply. Nothing is raised."""
    try:
        found = read(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def too_deep(text: str) -> bool:
    """Would this be JSON nested deeper than :data:`DEEPEST`? Counting brackets answers it for nearly every text."""
    if not _may_be_deep(text):
        return False
    try:
        read(text)
    except TooDeep:
        return True
    except ValueError:
        return False
    return False


def _may_be_deep(text: str | bytes) -> bool:
    if isinstance(text, str):
        return text.count("[") + text.count("{") > DEEPEST
    return text.count(b"[") + text.count(b"{") > DEEPEST


def _depth(value: Any) -> int:
    """Levels of lists and objects, without going down them by calls; stops behind the deepest allowed."""
    depth, level = 0, [value]
    while depth <= DEEPEST:
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return depth
        depth += 1
        level = [below for one in level for below in (one.values() if isinstance(one, dict) else one)]
    return depth
