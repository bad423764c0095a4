"""Writes the table of console commands into docs/admin.md, between its two marks: run it after changing the table of commands."""

from pathlib import Path

from lanying.admin.commands.table import TABLE
from lanying.admin.context import Command

PAGE = Path(__file__).parents[1] / "docs/admin.md"
BEGIN, END = "<!-- commands -->\n", "<!-- end of commands -->\n"


def row(command: Command) -> str:
    """A command's line."""
    shown = [command.name]
    for argument in command.arguments:
        name = argument.name if argument.is_option else argument.name.upper() + (" …" if argument.many else "")
        shown.append(name if argument.required else f"[{name}]")
    marks = ", asks first" if command.destructive else ", live" if command.streams else ""
    return f"| `{' '.join(shown)}` | {command.help} | {command.role.name.lower()}{marks} |\n"


def table() -> str:
    """All of them."""
    return "| Command | Does | Role |\n|---|---|---|\n" + "".join(map(row, TABLE))


def updated(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
