"""Random users, groups, operations, devices and crashes against a simple model: histories, read states, screens and member
lists agree (xsync 5.8, 5.9, 6.4, 6.5). The long form: ``pytest tests/shard/test_state_machine.py -m slow``."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from lanying.bus import messages as m
from lanying.protocol.schema.xsync_pb2 import Conversation, ConversationOperation, MessageBody, MessageOperation, Meta
from lanying.testing.screen import Screen
from lanying.testing.simulation import Device, Simulation, User

READ = MessageBody.READ
NAMES = ("alice", "bob", "carol", "dave")
GUIDS = ("phone", "desk")
pick = st.integers(0, 1 << 16)


@dataclass
class Said:
    """A message, as everybody should know it."""

    mid: int
    author: int
    text: str
    order: int
    recalled: bool = False
    read_by: set[int] = field(default_factory=set)


@dataclass
class Reader:
    """What one user has done with one conversation."""

    read: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)
    read_up_to: int = 0
    removed: set[int] = field(default_factory=set)
    dropped: int = 0


class Town(RuleBasedStateMachine):
    @initialize()
    def found(self) -> None:
        self.sim = Simulation(3)
        self.users = {user.uid: user for user in map(self.sim.user, NAMES)}
        self.uids = list(self.users)
        self.order = 0
        self.said: dict[object, list[Said]] = {}
        self.readers: dict[tuple[int, object], Reader] = {}
        self.online: dict[tuple[int, str], Device] = {}
        self.screens: dict[tuple[int, str], Screen] = {}
        self.born: dict[tuple[int, str], int] = {}
        founder = self.users[self.uids[0]]
        request = m.CreateGroup(founder.uid, "lanying", 0, "town", "", "", [], 100)
        self.gid = msgspec.msgpack.decode(self.sim.call(founder.shard.work.index, request), type=m.GroupView).info.gid
        self.joined: dict[int, int] = {founder.uid: 0}
        for number, user in enumerate(self.users.values()):
            self._come(user, GUIDS[number % 2])
            if user is not founder:
                self._invite(user.uid, founder.uid)

    # --- what happens ------------------------------------------------------------------------------------------------

    @rule(who=pick, guid=st.sampled_from(GUIDS))
    def come(self, who: int, guid: str) -> None:
        self.step()
        self._come(self.users[self.uids[who % len(self.uids)]], guid)

    @rule(which=pick)
    def go(self, which: int) -> None:
        key = self.any_online(which)
        if key is not None:
            self.online.pop(key).leave()

    @rule(index=st.integers(0, 2), back=st.booleans())
    def crash(self, index: int, back: bool) -> None:
        self.step()
        self.sim.crash(index)
        self.sim.run()
        lost = [key for key in self.online if self.sim.map.shard_of(key[0]) == index]
        for key in lost:
            del self.online[key]
        self.sim.advance(2)
        for uid, guid in lost if back else ():
            self._come(self.users[uid], guid)

    @rule(which=pick, to=pick)
    def say(self, which: int, to: int) -> None:
        self.step()
        key = self.any_online(which)
        conversation = None if key is None else self.conversation(key[0], to)
        if key is None or conversation is None:
            return
        self._say(key, conversation, f"{self.order}")

    @rule(which=pick, to=pick, lost=st.booleans())
    def say_and_crash(self, which: int, to: int, lost: bool) -> None:
        """The shard dies with the message on its way; the device says it again."""
        self.step()
        key = self.any_online(which)
        conversation = None if key is None else self.conversation(key[0], to)
        if key is None or conversation is None:
            return
        device, text = self.online[key], f"{self.order}"
        client_mid = self.post(device, conversation, text, run=False)
        if not lost:
            self.sim.commit(device.user.shard)
        self.crash(self.sim.map.shard_of(key[0]), back=False)
        self._come(self.users[key[0]], key[1])
        self._say(key, conversation, text, client_mid=client_mid)

    @rule(which=pick, to=pick, slow=st.integers(0, 2), count=st.integers(1, 3))
    def say_on_a_slow_bus(self, which: int, to: int, slow: int, count: int) -> None:
        """What goes to one shard arrives later than everything else."""
        self.step()
        key = self.any_online(which)
        conversation = None if key is None else self.conversation(key[0], to)
        if key is None or conversation is None:
            return
        device = self.online[key]
        self.sim.hold.add(f"shard-{slow}")
        sent = [(self.post(device, conversation, f"{self.order}.{n}"), f"{self.order}.{n}") for n in range(count)]
        self.sim.hold.clear()
        self.sim.run()
        self.sim.advance(2)
        for client_mid, text in sent:
            self._said(key, conversation, device.acknowledged[client_mid], text)

    @rule(which=pick, what=pick, append=st.booleans())
    def edit(self, which: int, what: int, append: bool) -> None:
        found = self.own(which, what)
        if found is None:
            return
        key, conversation, said = found
        kind = MessageOperation.APPEND if append else MessageOperation.REPLACE
        text = f"+{self.order}" if append else f"={self.order}"
        device = self.online[key]
        operation = device.operate(self.peer(key[0], conversation), kind, said.mid, content=text)
        assert operation in device.acknowledged, device.refused
        said.text = said.text + text if append else text

    @rule(which=pick, what=pick)
    def recall(self, which: int, what: int) -> None:
        found = self.own(which, what)
        if found is None:
            return
        key, conversation, said = found
        device = self.online[key]
        peer = self.peer(key[0], conversation)
        operation = device.operate(peer, MessageOperation.RECALL, said.mid, peer)
        assert operation in device.acknowledged, device.refused
        said.recalled = True
        self.screens[key].forget(peer, said.mid)

    @rule(which=pick, what=pick)
    def acknowledge(self, which: int, what: int) -> None:
        found = self.foreign(which, what)
        if found is None:
            return
        key, conversation, said = found
        self.online[key].operate(said.author, MessageOperation.READ_ACK, said.mid)
        reader = self.reader(key[0], conversation)
        reader.read.add(said.mid)
        reader.unread.discard(said.mid)
        said.read_by.add(key[0])

    @rule(which=pick, what=pick)
    def read_all(self, which: int, what: int) -> None:
        found = self.foreign(which, what)
        if found is None:
            return
        key, conversation, said = found
        self.online[key].operate(key[0], MessageOperation.READ_ALL, said.mid, self.peer(key[0], conversation))
        reader = self.reader(key[0], conversation)
        reader.read_up_to = max(reader.read_up_to, said.mid)
        reader.unread = {mid for mid in reader.unread if mid > said.mid}

    @rule(which=pick, what=pick)
    def read_cancel(self, which: int, what: int) -> None:
        found = self.foreign(which, what)
        if found is None:
            return
        key, conversation, said = found
        self.online[key].operate(key[0], MessageOperation.READ_CANCEL, said.mid, self.peer(key[0], conversation))
        reader = self.reader(key[0], conversation)
        reader.read.discard(said.mid)
        reader.unread.add(said.mid)

    @rule(which=pick, what=pick)
    def remove(self, which: int, what: int) -> None:
        found = self.own(which, what) if what % 2 else self.foreign(which, what)
        if found is None:
            return
        key, conversation, said = found
        peer = self.peer(key[0], conversation)
        self.online[key].operate(key[0], MessageOperation.DELETE, said.mid, peer)
        self.reader(key[0], conversation).removed.add(said.mid)
        self.screens[key].forget(peer, said.mid)

    @rule(which=pick, to=pick)
    def drop(self, which: int, to: int) -> None:
        self.step()
        key = self.any_online(which)
        conversation = None if key is None else self.conversation(key[0], to)
        if key is None or conversation is None:
            return
        uid, peer = key[0], self.peer(key[0], conversation)
        payload = Conversation(type=Conversation.OPER)
        payload.operation.type = ConversationOperation.DELETE_EVERYWHERE
        payload.operation.xid.uid = peer
        device = self.online[key]
        device.send(0, ns=Meta.CONVERSATION, payload=payload.SerializeToString())
        self.screens[key].drop(peer)
        self.reader(uid, conversation).dropped = self.order

    @rule(who=pick, by=pick)
    def invite(self, who: int, by: int) -> None:
        self.step()
        uid, inviter = self.uids[who % len(self.uids)], sorted(self.joined)[by % len(self.joined)]
        if uid in self.joined:
            return
        self._invite(uid, inviter)

    @precondition(lambda self: len(self.joined) > 1)
    @rule(who=pick, kicked=st.booleans())
    def part(self, who: int, kicked: bool) -> None:
        self.step()
        leaver = sorted(set(self.joined) - {self.uids[0]})[who % (len(self.joined) - 1)]
        if kicked:
            self.ask(m.KickMembers(self.gid, self.uids[0], "lanying", 0, [leaver], ""))
        else:
            self.ask(m.LeaveGroup(self.gid, leaver, "lanying", 0))
        del self.joined[leaver]

    # --- what has to be so ---------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "joined"):
            return
        self.step()
        for user in self.users.values():
            for guid in GUIDS:
                if (user.uid, guid) in self.screens and (user.uid, guid) not in self.online:
                    self._come(user, guid)
        self.sim.advance(2)
        for (uid, guid), device in self.online.items():
            self.screens[uid, guid].look()
            for conversation in self.conversations(uid):
                self.check(uid, guid, device, conversation)
        members = msgspec.msgpack.decode(self.ask(m.ListMembers(self.gid, self.uids[0], "lanying", 0, 0, 100, False)))
        assert {row[0] for row in members[0]} == set(self.joined)
        assert members[1] == len(self.joined)
        for uid, user in self.users.items():
            joined = msgspec.msgpack.decode(self.sim.call(user.shard.work.index, m.Joined(uid)))
            assert joined == ([self.gid] if uid in self.joined else [])

    def check(self, uid: int, guid: str, device: Device, conversation: object) -> None:
        peer = self.peer(uid, conversation)
        visible = {said.mid: said for said in self.visible(uid, conversation)}
        metas = self.history(device, peer)
        bodies = {meta.id: (meta, MessageBody.FromString(meta.payload)) for meta in reversed(metas)}
        assert {mid: body.content for mid, (_, body) in bodies.items()} == {m_: s.text for m_, s in visible.items()}
        assert list(bodies) == sorted(bodies)
        reader = self.reader(uid, conversation)
        for mid, (_, body) in bodies.items():
            said = visible[mid]
            if said.author == uid:
                read = bool(said.read_by)
            else:
                read = mid not in reader.unread and (mid in reader.read or mid <= reader.read_up_to)
            assert (body.status == READ) == read, f"{said} as {uid} sees it"
        screen = self.screens[uid, guid].messages.get(peer, {})
        for mid, shown in screen.items():
            assert mid in visible, f"{shown} is on the {guid} of {uid}, and should not"
            assert shown.text == visible[mid].text
        since = max(self.born[uid, guid], reader.dropped)
        missing = [said for said in visible.values() if said.order > since and said.mid not in screen]
        assert not missing, f"not on the {guid} of {uid}: {missing}"
        loop = device.session.loops.get(peer)
        head = device.user.shard.work.mailboxes.refresh(device.user.shard.work.mailboxes.head(uid, peer))
        assert (loop.cursor if loop else device.user.shard.work.mailboxes.cursor(uid, device.sn, peer)) == head.last_seq

    # --- helpers ---------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.order += 1
        self.sim.advance(0.01)

    def ask(self, request: m.Request[object]) -> bytes:
        return self.sim.call(self.sim.map.shard_of(self.gid), request)

    def _invite(self, uid: int, inviter: int) -> None:
        self.ask(m.InviteMembers(self.gid, inviter, "lanying", 2, [m.Invitee(uid, False)], ""))
        self.joined[uid] = self.order

    def _come(self, user: User, guid: str) -> None:
        key = user.uid, guid
        if key in self.online:
            return
        if key not in self.screens:
            self.screens[key], self.born[key] = Screen(user.uid), self.order
        self.online[key] = user.device(guid)
        self.screens[key].attach(self.online[key])

    def _say(self, key: tuple[int, str], conversation: object, text: str, client_mid: int = 0) -> None:
        device = self.online[key]
        sent = self.post(device, conversation, text, client_mid=client_mid)
        assert sent in device.acknowledged, device.refused
        self._said(key, conversation, device.acknowledged[sent], text)

    def _said(self, key: tuple[int, str], conversation: object, mid: int, text: str) -> None:
        self.said.setdefault(conversation, []).append(Said(mid, key[0], text, self.order))
        self.screens[key].sent(self.peer(key[0], conversation), mid, text, self.sim.now_ms)

    def post(self, device: Device, conversation: object, text: str, *, client_mid: int = 0, run: bool = True) -> int:
        kind = MessageBody.GROUPCHAT if conversation == self.gid else MessageBody.CHAT
        peer = self.peer(device.user.uid, conversation)
        return device.send(peer, text, type=kind, client_mid=client_mid, run=run)

    def history(self, device: Device, peer: int) -> list[Meta]:
        """Newest first, page by page."""
        found: list[Meta] = []
        page = device.history(peer, 0, 100)
        while page.metas:
            found += page.metas
            page = device.history(peer, page.next_key, 100)
        return found

    def any_online(self, which: int) -> tuple[int, str] | None:
        return sorted(self.online)[which % len(self.online)] if self.online else None

    def conversation(self, uid: int, to: int) -> object | None:
        if to % 2:
            return self.gid if uid in self.joined else None
        other = self.uids[to // 2 % len(self.uids)]
        return None if other == uid else frozenset((uid, other))

    def conversations(self, uid: int) -> list[object]:
        mine = [it for it in self.said if isinstance(it, frozenset) and uid in it]
        return [*mine, self.gid] if uid in self.joined else mine

    def peer(self, uid: int, conversation: object) -> int:
        if isinstance(conversation, frozenset):
            [other] = conversation - {uid}
            return int(other)
        return self.gid

    def reader(self, uid: int, conversation: object) -> Reader:
        return self.readers.setdefault((uid, conversation), Reader())

    def visible(self, uid: int, conversation: object) -> list[Said]:
        removed = self.reader(uid, conversation).removed
        since = self.joined[uid] if conversation == self.gid else -1
        found = self.said.get(conversation, [])
        return [it for it in found if not it.recalled and it.mid not in removed and it.order > since]

    def _some(self, which: int, what: int, own: bool) -> tuple[tuple[int, str], object, Said] | None:
        self.step()
        key = self.any_online(which)
        if key is None:
            return None
        found = [
            (key, conversation, said)
            for conversation in self.conversations(key[0])
            for said in self.visible(key[0], conversation)
            if (said.author == key[0]) == own
        ]
        return found[what % len(found)] if found else None

    def own(self, which: int, what: int) -> tuple[tuple[int, str], object, Said] | None:
        return self._some(which, what, True)

    def foreign(self, which: int, what: int) -> tuple[tuple[int, str], object, Said] | None:
        return self._some(which, what, False)


CALM = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_a_town_and_its_model_agree() -> None:
    run_state_machine_as_test(
        Town,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=CALM,
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_town_and_its_model_agree_for_long() -> None:
    run_state_machine_as_test(
        Town,
        settings=settings(
            max_examples=1500,
            stateful_step_count=80,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=CALM,
        ),
    )
