"""No request asks shards without a bound: each loop that waits in a handler is listed with what ends it."""

from __future__ import annotations

import ast
from pathlib import Path

import lanying.gateway

GATEWAY = Path(lanying.gateway.__file__).parent
HANDLERS = ("accounts", "files", "groups", "messages", "social", "admin.py", "http/batch.py")
BOUNDED: dict[str, str] = {
    "accounts/registration.py:register_anonymous": "_NAMES_TRIED",
    "accounts/user_administration.py:delete": "GROUPS_PER_USER and GROUPS_UNASKED",
    "accounts/user_administration.py:rename": "FORMER_NAMES: former names that an account gives up",
    "accounts/user_administration.py:users": "for admins: REST_PAGE rows, ACCOUNTS_SCANNED a question",
    "admin.py:groups": "for admins: REST_PAGE rows, GROUPS_SCANNED a question",
    "files/receiving.py:_in_time": "UPLOAD_TIMEOUT_S",
    "files/receiving.py:receive": "UPLOAD_TIMEOUT_S and the file's largest size",
    "groups/context.py:_relations": "REST_IDS, and they are charged to the inviter",
    "groups/context.py:invitees": "REST_IDS, and they are charged to the inviter",
    "groups/groups.py:public": "LIST_ROUNDS a shard",
    "groups/members.py:name_cards": "REST_IDS",
    "messages/push_tasks.py:_count": "for admins: as of_shard",
    "messages/push_tasks.py:details": "for admins: REST_ROWS",
    "messages/push_tasks.py:of_shard": "for admins: accounts of the app, ACCOUNTS_SCANNED a question",
    "social/rosters.py:_items": "REST_IDS",
}


def loops() -> set[str]:
    found: set[str] = set()
    for path in sorted(GATEWAY.rglob("*.py")):
        place = path.relative_to(GATEWAY).as_posix()
        if not place.startswith(HANDLERS):
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    body = node.body if isinstance(node, ast.While | ast.For | ast.AsyncFor) else []
                    if any(isinstance(below, ast.Await) for statement in body for below in ast.walk(statement)):
                        found.add(f"{place}:{function.name}")
    return found


def test_every_loop_of_a_handler_says_what_ends_it() -> None:
    assert loops() == BOUNDED.keys(), "bound it, and say by what"
