"""A stored entry that cannot be judged keeps nobody from what is behind it."""

from __future__ import annotations

import pytest

from lanying.protocol.schema.xsync_pb2 import Meta
from lanying.shard.chat import history, visible
from lanying.shard.store import schema
from lanying.testing.simulation import Simulation


def test_an_entry_that_cannot_be_judged_is_delivered_as_it_is_and_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(visible, "_reported", {})
    monkeypatch.setattr(visible.log, "error", lambda text, *values: logged.append(text.split()[0]))
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    phone = alice.device()
    for text in ("one", "two", "three"):
        phone.send(bob, text)
    work = bob.shard.work
    head = work.mailboxes.head(bob.uid, alice.uid)
    broken = Meta(id=4711, ns=Meta.MESSAGE, timestamp=1, payload=b"\xff callId")
    getattr(broken, "from").uid = alice.uid
    work.put(schema.QUEUE, head.key + schema.pack_u64(2), broken.SerializeToString())
    for guid in ("phone", "tablet"):
        device = bob.device(guid, automatic=False, listing=False)
        device.pull(alice.uid)
        assert [meta.payload == broken.payload for meta in device.metas] == [False, True, False]
    assert logged == ["event=entry_unreadable"]
    assert work.failed_events == 0


def test_a_page_without_an_unreadable_message_has_the_others() -> None:
    """In a page it would make the whole page unreadable."""
    sim = Simulation(1)
    alice, bob = sim.user("alice"), sim.user("bob")
    phone = alice.device()
    for text in ("one", "two"):
        phone.send(bob, text)
    work = bob.shard.work
    head = work.mailboxes.head(bob.uid, alice.uid)
    work.put(schema.QUEUE, head.key + schema.pack_u64(1), b"\xff\xff")
    page = history.page(work.store, head, 0, 10)
    assert [Meta.FromString(meta).id for meta in page.metas] == [head.last_mid]
