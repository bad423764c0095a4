"""Arguments of a command: as the table types them, and as the audit log keeps them."""

from __future__ import annotations

from typing import Any

from lanying.admin.context import Command, Kind
from lanying.admin.errors import CommandError
from lanying.base import limits


def audited(kind: Kind, value: Any) -> Any:
    """An argument as the audit log keeps it, which every role may read: without secrets and what people write."""
    if kind is Kind.SECRET:
        return "(hidden)"
    return f"({len(str(value))} characters)" if kind is Kind.WORDS else bounded(value)


def bounded(value: Any) -> Any:
    """An argument as the audit log keeps it: its line has to be found again in a piece of the file."""
    if isinstance(value, list):
        kept = [bounded(item) for item in value[: limits.AUDIT_ITEMS]]
        return kept if len(kept) == len(value) else [*kept, f"… {len(value)} in all"]
    if not isinstance(value, str) or len(value) <= limits.AUDIT_CHARS:
        return value
    return f"{value[: limits.AUDIT_CHARS]}… {len(value)} characters in all"


def checked(command: Command, given: dict[str, Any]) -> dict[str, Any]:
    """Arguments as the table types them. :raises CommandError: 10002 with the argument's name"""
    known = {argument.key: argument for argument in command.arguments}
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise CommandError(10002, f"{command.name} takes no {unknown[0]}; `help {command.name}` shows what it takes")
    found: dict[str, Any] = {}
    for key, argument in known.items():
        value = given.get(key, argument.default)
        if value is None or (argument.many and not value):
            if argument.required:
                raise CommandError(10002, f"{command.name} needs {argument.name}: {argument.help}")
            continue
        if argument.kind is Kind.NUMBER:
            try:
                value = int(value)
            except (TypeError, ValueError):
                raise CommandError(10002, f"{argument.name} is a number, not {value!r}") from None
            if abs(value) >= 1 << 63:
                raise CommandError(10002, f"{argument.name} is too large a number")
        elif argument.kind is not Kind.FLAG and not argument.many and not isinstance(value, str | int):
            raise CommandError(10002, f"{argument.name} is a text, not {value!r}")
        if argument.choices and value not in argument.choices:
            raise CommandError(10002, f"{argument.name} is one of {', '.join(argument.choices)}, not {value!r}")
        found[key] = value
    return found
