"""Group notices: who, to whom, what; each user once, in their own queue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.groups import notices

JOINED = pb.GroupNotice.JOINED


def test_a_notice_says_what_happened_to_whom() -> None:
    found = pb.GroupNotice.FromString(notices.notice(JOINED, 9, 5, [7, 6], "why"))
    assert (found.type, found.gid.uid, getattr(found, "from").uid, found.content) == (JOINED, 9, 5, "why")
    assert [xid.uid for xid in found.to] == [7, 6]
    plain = pb.GroupNotice.FromString(notices.notice(JOINED, 9, 5))
    assert (plain.content, [*plain.to]) == ("", [])


def test_a_property_is_told_by_name_and_value_to_the_group() -> None:
    told: list[tuple[int, int, bytes]] = []
    work: Any = SimpleNamespace(group_notice=lambda gid, sender, payload: told.append((gid, sender, payload)))
    notices.updated(work, 9, 5, "name", "Café")
    [(gid, sender, payload)] = told
    found = pb.GroupNotice.FromString(payload)
    assert (gid, sender, found.type, getattr(found, "from").uid) == (9, 5, pb.GroupNotice.INFO_UPDATED, 5)
    assert msgspec.json.decode(found.content) == {"property": "name", "name": "Café"}


def test_each_is_told_once_in_their_order() -> None:
    told: list[tuple[int, int, int, bytes]] = []
    work: Any = SimpleNamespace(notice=lambda *given, **more: told.append(given))
    notices.each(work, [7, 6, 7, 8, 6], 5, b"payload")
    assert [one[:4] for one in told] == [(uid, 5, notices.NS, b"payload") for uid in (7, 6, 8)]
