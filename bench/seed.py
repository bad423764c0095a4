"""Accounts and tokens for a run.

:func:`provision` writes accounts straight into the shard stores of a data directory whose server is not running, and
signs tokens with its key: 4,000 users in a second. :func:`register` uses the REST API of a running server instead.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from lanying.base import tokens
from lanying.base.ids import SLOTS
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.shard.accounts import accounts
from lanying.shard.core.work import Work
from lanying.shard.store.rocks import RocksStore
from lanying.supervisor.datadir import DataDirectory

NO_PASSWORD = "!"
"""A hash no password has."""


@dataclass(frozen=True)
class Account:
    """Somebody who can log in."""

    uid: int
    token: str


class SeedError(Exception):
    """Accounts cannot be had."""


class _Writer:
    """As much of a shard as :func:`lanying.shard.accounts.accounts.claim` needs; writes at once, so that reads see it."""

    def __init__(self, store: RocksStore) -> None:
        self.store = store

    @property
    def now_ms(self) -> int:
        """Wall time."""
        return time.time_ns() // 1_000_000

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set a key."""
        batch = self.store.batch()
        batch.put(family, key, value)
        self.store.write(batch)


def names(count: int) -> list[str]:
    """User names of a run."""
    return [f"bench_{number:06d}" for number in range(count)]


def provision(data: Path, count: int, shards: int, lifetime_s: int = 86_400) -> list[Account]:
    """``count`` accounts in a data directory, made there if they are missing; so is the directory.

    :raises lanying.base.errors.LanyingError: a server is running there, or another number of shards
    """
    directory = DataDirectory(data, shards)
    try:
        shard_map, apps = directory.prepare(Config(data=str(data)), shards)
        app = apps[0]
        found = []
        expires = int(time.time()) + lifetime_s
        by_shard: dict[int, list[str]] = {}
        for name in names(count):
            by_shard.setdefault(shard_map.shard_of_name(app.app_id, name), []).append(name)
        for shard in range(shard_map.shards):
            store = RocksStore(directory.path / f"shard-{shard}")
            writer = _Writer(store)
            for name in by_shard.get(shard, ()):
                uid = accounts.find_name(store, app.app_id, name)
                if uid:
                    info = accounts.need(store, uid).info
                else:
                    info = accounts.claim(cast(Work, writer), app.app_id, name, NO_PASSWORD)
                identity = tokens.Identity(app.app_id, info.uid, tokens.ROLE_USER, info.epoch, expires)
                found.append(Account(info.uid, tokens.issue(app.token_key, identity)))
            store.flush()
            store.close()
        return found
    finally:
        directory.close()


def register(
    url: str,
    count: int,
    app_id: str,
    progress: Callable[[int], None] = lambda done: None,
    context: ssl.SSLContext | None = None,
) -> list[Account]:
    """``count`` accounts of a running server with open registration. Slow: every password is hashed twice.

    :raises SeedError: the server refuses
    """
    found = []
    for done, name in enumerate(names(count)):
        credentials: dict[str, object] = {"username": name, "password": f"secret-{name}"}
        created = _post(f"{url}/user/register/v2", credentials, app_id, context=context)
        if created.get("code") not in (200, 10004):  # 10004: from an earlier run
            raise SeedError(
                f"{url}: registering {name}: {created.get('code')} {created.get('message')}; "
                "start the server with --open-registration and LANYING_ACCOUNTS_REGISTRATIONS_PER_MINUTE=0"
            )
        answer = _post(f"{url}/token/user", credentials | {"name": name}, app_id, context=context)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise SeedError(f"{url}: logging {name} in: {answer.get('code')} {answer.get('message')}")
        found.append(Account(int(data["user_id"]), str(data["token"])))
        progress(done + 1)
    return found


def found_group(
    url: str, token: str, app_id: str, name: str, members: Sequence[int], context: ssl.SSLContext | None = None
) -> int:
    """A group with these members beside its owner, whose token it is. Its gid.

    :raises SeedError: the server refuses
    """
    answer = _post(f"{url}/group/create", {"name": name, "user_list": list(members)}, app_id, token, context)
    data = answer.get("data")
    if not isinstance(data, dict):
        raise SeedError(f"{url}: founding a group of {len(members) + 1}: {answer.get('code')} {answer.get('message')}")
    if data["count"] != len(members) + 1:
        raise SeedError(
            f"{url}: the group has {data['count']} members instead of {len(members) + 1}; "
            "raise policy.group_members, and set accounts.strangers_may_add_to_groups"
        )
    return int(data["group_id"])


def _post(
    url: str, body: dict[str, object], app_id: str, token: str = "", context: ssl.SSLContext | None = None
) -> dict[str, object]:
    headers = {"content-type": "application/json", "app_id": app_id} | ({"access-token": token} if token else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        found = {"code": error.code, "message": error.reason}
    except OSError as error:
        raise SeedError(f"{url}: {error}; is the server running?") from error
    return found if isinstance(found, dict) else {}


def shard_function(data: Path | None, shards: int) -> Callable[[int], int]:
    """Which shard a uid lives on: by the map of the data directory, else by the map of a new one."""
    shard_map = ShardMap.load(data) if data is not None else None
    if shard_map is not None:
        return shard_map.shard_of
    return lambda uid: uid % SLOTS % max(shards, 1)


def pairs(uids: Iterable[int], shard_of: Callable[[int], int], how: str) -> list[tuple[int, int]]:
    """Users two by two.

    :param how: ``cross`` both on different shards, ``same`` both on one, ``any`` as it comes; with ``cross`` and one
        shard they are all on that
    """
    ordered = list(uids)
    if how == "any":
        return list(zip(ordered[::2], ordered[1::2], strict=False))
    by_shard: dict[int, list[int]] = {}
    for uid in ordered:
        by_shard.setdefault(shard_of(uid), []).append(uid)
    found: list[tuple[int, int]] = []
    if how == "same" or len(by_shard) == 1:
        for group in by_shard.values():
            found += zip(group[::2], group[1::2], strict=False)
        return found
    while True:
        largest = sorted(by_shard.values(), key=len)[-2:]
        if not largest[0]:
            return found
        found.append((largest[0].pop(), largest[1].pop()))
