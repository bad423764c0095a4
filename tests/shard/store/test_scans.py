"""Nothing looks at rows without a bound: each scan of a shard passes one, or is listed with what bounds its rows."""

from __future__ import annotations

import ast
from pathlib import Path

import lanying.shard

SHARD = Path(lanying.shard.__file__).parent
BOUNDED: dict[str, str] = {
    "accounts/devices.py:list_all": "DEVICE_RECORDS_PER_USER",
    "accounts/one_time_codes.py:put": "CODES_PER_SLOT, each kind",
    "accounts/roster.py:_received": "APPLICATIONS_PER_USER",
    "chat/broadcasts.py:_jobs": "BROADCASTS_KEPT, and those that run",
    "chat/broadcasts.py:unfinished": "as _jobs, at the start",
    "groups/applications.py:_received": "GROUP_APPLICATIONS",
    "groups/invitations.py:_copies": "INVITATIONS_PER_USER",
    "groups/invitations.py:need_room": "GROUP_INVITATIONS",
    "groups/items.py:_list": "GROUP_FILES, GROUP_ANNOUNCEMENTS",
    "groups/members.py:_blocked": "GROUP_BLOCKED",
    "groups/membership.py:members": "GROUP_MEMBERS_MAX",
    "groups/records.py:member_uids": "GROUP_MEMBERS_MAX",
    "groups/records.py:members": "GROUP_MEMBERS_MAX",
    "groups/settings.py:end": "what one group has",
    "push/orders.py:__init__": "at the start",
    "push/orders.py:put_task": "PUSH_TASKS_KEPT",
    "push/owed.py:begin": "PUSHES_OWED",
    "upkeep/retention.py:_move_cursors": "DEVICE_RECORDS_PER_USER",
}
GROWS: dict[str, str] = {
    "accounts/devices.py:_forget": "cursors of one device: one per conversation",
    "accounts/roster.py:_scan": "relations: one for everybody a user ever wrote to",
    "core/mailbox.py:cursors": "cursors of one device",
    "core/mailbox.py:heads": "conversations of one user",
}
"""Grow with what one user has done over years, a row per first contact: the rate of messages bounds how fast."""


def unbounded() -> set[str]:
    found: set[str] = set()
    for path in SHARD.rglob("*.py"):
        place = path.relative_to(SHARD).as_posix()
        if place.startswith("store/"):
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                scans = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "scan"
                if scans and "limit" not in {keyword.arg for keyword in node.keywords}:
                    found.add(f"{place}:{function.name}")
    return found


def test_every_scan_has_a_limit_or_says_what_bounds_its_rows() -> None:
    assert unbounded() == BOUNDED.keys() | GROWS.keys(), "pass limit=, or say what bounds the rows"
