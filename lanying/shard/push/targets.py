"""Whom of this shard a push of a back end is for, and how many devices that are, by notifier. Pure."""

from __future__ import annotations

from collections import Counter

from lanying.base import limits
from lanying.base.ids import MAX_ENTITY_ID
from lanying.bus.messages import STATE_NORMAL, PushTargets, PushTargetsPage
from lanying.shard.accounts import accounts, devices
from lanying.shard.store import schema
from lanying.shard.store.base import Store


def count(store: Store, wanted: PushTargets) -> PushTargetsPage:
    """Devices of those that are meant; looks at a bounded number of users."""
    found, last = find(store, wanted, limits.ACCOUNTS_SCANNED)
    counts: Counter[str] = Counter()
    for notifiers in found.values():
        counts.update(notifiers)
    return PushTargetsPage(dict(counts), last)


def find(store: Store, wanted: PushTargets, most: int) -> tuple[dict[int, list[str]], int]:
    """Users with a vendor token who want pushes and are meant, with the notifiers of their devices, and where to go on (0: the end).

    :param most: users looked at
    """
    if wanted.uids:
        uids, last = [uid for uid in wanted.uids if 0 < uid <= MAX_ENTITY_ID], 0
    else:
        start = schema.pack_u64(min(wanted.after, MAX_ENTITY_ID) + 1)
        rows = store.scan(schema.ACCOUNTS, start, b"\xff" * 8, limit=most)
        uids = [schema.unpack_u64(key)[0] for key, _ in rows]
        last = uids[-1] if len(uids) == most else 0
    tags, tokens = set(wanted.tags), set(wanted.push_tokens)
    found: dict[int, list[str]] = {}
    for uid in uids:
        account = accounts.load(store, uid)
        if account is None or account.info.app != wanted.app or account.info.state != STATE_NORMAL:
            continue
        if account.info.no_push or (tags and not tags.intersection(account.extras.tags)):
            continue
        bound = [device for device in devices.list_all(store, uid) if device.push_token]
        if tokens and tokens.isdisjoint((account.info.push_token, *(device.push_token for device in bound))):
            continue
        if bound:
            found[uid] = [device.notifier for device in bound]
    return found, last
