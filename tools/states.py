"""Writes ``docs/states.md``: every state machine, drawn from its table. A test says when that was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[1] / "docs/states.md"
MACHINES = ("lanying.shard.core.link_states", "lanying.router.arrival", "lanying.shard.chat.sync")
"""Modules with a table ``TRANSITIONS`` (:mod:`lanying.base.states`)."""
HEADER = """\
# State machines

Made by `tools/states.py` from the tables in the code: do not edit. An event that a state does not know is a defect and raises one
error that names both.
"""


def page() -> str:
    """The whole page as it should be."""
    return HEADER + "".join(part for name in MACHINES for part in section(import_module(name)))


def section(module: ModuleType) -> Iterator[str]:
    """One machine: what its module says about it, a diagram and the table."""
    documentation = module.__doc__ or ""
    title, _, theory = documentation.partition("\n")
    yield f"\n## {title.rstrip('.')}\n\nSource: `{module.__name__.replace('.', '/')}.py`.\n\n"
    yield "\n".join(line for line in theory.strip().splitlines() if line.startswith(("- ", "  "))) + "\n"
    yield f"\n```mermaid\nstateDiagram-v2\n{diagram(module)}```\n"
    yield f"\n| State | Event | Answer | Next state |\n|---|---|---|---|\n{rows(module)}"


def diagram(module: ModuleType) -> str:
    """One arrow for all events that lead from one state to another."""
    first = next(iter(module.TRANSITIONS))[0]
    lines = [f"    [*] --> {first}\n"]
    moves: dict[tuple[str, str], list[str]] = {}
    for (state, event), (_, then) in module.TRANSITIONS.items():
        if state is not then:
            moves.setdefault((state.name, then.name), []).append(event.name)
    lines += [f"    {state} --> {then}: {', '.join(events)}\n" for (state, then), events in moves.items()]
    return "".join(lines)


def rows(module: ModuleType) -> str:
    """A row for each transition; a state is named once."""
    found = []
    for name, group in groupby(module.TRANSITIONS.items(), key=lambda one: one[0][0].name):
        shown = name
        for (_, event), (answer, then) in group:
            found.append(f"| {shown} | {event.name} | {getattr(answer, 'name', answer or '')} | {then.name} |\n")
            shown = ""
    return "".join(found)


if __name__ == "__main__":
    PAGE.write_text(page())
