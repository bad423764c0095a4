"""Whom of this shard a push to an audience goes to, and how many devices that are, by notifier. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lanying import limits
from lanying.bus.messages import STATE_NORMAL, PushTargets, PushTargetsPage
from lanying.ids import MAX_ENTITY_ID
from lanying.shard import accounts, devices
from lanying.shard.store import schema
from lanying.shard.store.base import Store


def count(store: Store, wanted: PushTargets, order: Callable[[int, int], None]) -> PushTargetsPage:
    """Devices with a vendor token, of users who want pushes and are meant; looks at a bounded number of users.

    :param order: is told each of these users and the task, if there is one
    """
    found: Counter[str] = Counter()
    if wanted.uids:
        uids, last = [uid for uid in wanted.uids if 0 < uid <= MAX_ENTITY_ID], 0
    else:
        start = schema.pack_u64(min(wanted.after, MAX_ENTITY_ID) + 1)
        rows = store.scan(schema.ACCOUNTS, start, b"\xff" * 8, limit=limits.ACCOUNTS_SCANNED)
        uids = [schema.unpack_u64(key)[0] for key, _ in rows]
        last = uids[-1] if len(uids) == limits.ACCOUNTS_SCANNED else 0
    tags, tokens = set(wanted.tags), set(wanted.push_tokens)
    for uid in uids:
        account = accounts.load(store, uid)
        if account is None or account.info.app != wanted.app or account.info.state != STATE_NORMAL:
            continue
        if account.info.no_push or (tags and not tags.intersection(account.extras.tags)):
            continue
        if tokens and account.info.push_token not in tokens:
            continue
        notifiers = [device.notifier for device in devices.list_all(store, uid) if device.push_token]
        found.update(notifiers)
        if wanted.task and notifiers:
            order(uid, wanted.task)
    return PushTargetsPage(dict(found), last)
