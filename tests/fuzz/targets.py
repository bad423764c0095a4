"""All targets by name. They are imported when one is asked for: a guided run has to see their imports."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.fuzz.target import Target

NAMES = (
    "frames",
    "heads",
    "envelopes",
    "records",
    "tokens",
    "texts",
    "uploads",
    "pushes",
    "exchanges",
    "shards",
    "stored",
)


def target(name: str) -> Target:
    """The target, new."""
    module: Any = import_module(f"tests.fuzz.{name}")
    found = getattr(module, name.capitalize())()
    assert isinstance(found, Target)
    return found
