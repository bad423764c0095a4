"""Five devices of one user: whatever order they come, go and act in, they end up with the same screens, read states and nothing
unread (xsync 5.8, 5.9, 6.4)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.testing.screen import Screen
from lanying.testing.simulation import Device, Simulation, User

GUIDS = ("phone", "desk", "tablet", "watch", "car")
O = MessageOperation  # noqa: E741


class Home:
    """Bob's devices; alice writes to them and in their group, from one device."""

    def __init__(self) -> None:
        self.sim = Simulation(2)
        self.alice: User = self.sim.user("alice")
        self.bob = next(u for n in range(50) if (u := self.sim.user(f"bob{n}")).shard is not self.alice.shard)
        self.gid = self.sim.group(self.alice, self.bob)
        self.writer = self.alice.device()
        self.screens = {guid: Screen(self.bob.uid) for guid in GUIDS}
        self.online: dict[str, Device] = {}
        for guid in GUIDS:
            self.come(guid)

    def come(self, guid: str) -> None:
        self.online[guid] = self.bob.device(guid)
        self.screens[guid].attach(self.online[guid])

    def go(self, guid: str) -> None:
        self.screens[guid].look()
        self.online.pop(guid).leave()

    def act(self, number: int) -> None:
        """What happens at a time: messages, edits, recalls by alice; reading and removing by one of bob's devices."""
        self.sim.advance(0.01)
        for where, kind in ((self.bob.uid, MessageBody.CHAT), (self.gid, MessageBody.GROUPCHAT)):
            sent = [self.writer.send(where, f"{number}{letter}", type=kind) for letter in "abcd"]
            a, b, c, d = (self.writer.acknowledged[mid] for mid in sent)
            self.writer.operate(where, O.RECALL, a, where)
            self.writer.operate(where, O.APPEND, b, where, content="+")
            self.writer.operate(where, O.REPLACE, b, where, content="new")
            self.writer.operate(where, O.APPEND, b, where, content="er")
            for guid, device in itertools.islice(self.online.items(), 1):
                conversation = self.alice.uid if where == self.bob.uid else self.gid
                device.operate(self.bob, O.DELETE, c, conversation)
                self.screens[guid].forget(conversation, c)
                device.operate(self.alice, O.READ_ACK, d)

    def check(self) -> None:
        for guid in GUIDS:
            if guid not in self.online:
                self.come(guid)
        self.sim.advance(2)
        for conversation in (self.alice.uid, self.gid):
            for screen in self.screens.values():
                screen.look()
            shown = {guid: screen.texts(conversation) for guid, screen in self.screens.items()}
            assert len({tuple(texts) for texts in shown.values()}) == 1, shown
            pages = [
                [
                    (meta.id, body.content, body.status)
                    for meta in device.history(conversation, 0, 100).metas
                    if (body := MessageBody.FromString(meta.payload))
                ]
                for device in self.online.values()
            ]
            assert all(page == pages[0] for page in pages)
            assert [text for _, text, _ in reversed(pages[0])] == shown["phone"]
        for guid in GUIDS:
            self.go(guid)
            device = self.bob.device(guid, automatic=False)
            assert not any(device.unread.values()), device.unread


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_every_order_of_leaving_and_coming_back(order: tuple[int, ...]) -> None:
    """The watch is always there; the others go in one order and come back in the other."""
    home = Home()
    others = [guid for guid in GUIDS if guid != "watch"]
    for number, which in enumerate(order):
        home.go(others[which])
        home.act(number)
    for number, which in enumerate(order):
        home.act(10 + number)
        home.come(others[which])
    home.check()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(GUIDS), st.none()), max_size=14))
def test_any_coming_and_going(steps: list[str | None]) -> None:
    home = Home()
    for number, guid in enumerate(steps):
        if guid is None:
            home.act(number)
        elif guid in home.online:
            home.go(guid)
        else:
            home.come(guid)
    home.check()
