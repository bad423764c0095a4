"""Shards without processes, sockets or clocks: the memory store, a bus in a list, devices that answer like the web
SDK.

For conversations as tests: ``alice = sim.user("alice"); phone = alice.device(); phone.send(bob, "hello")``. Time
moves only by ``sim.advance``.

Over 400 lines: the simulation, its users and their devices know each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from lanying.base.errors import CallError
from lanying.base.ids import EPOCH_MS
from lanying.bus.handoff.records import Login
from lanying.bus.messages import (
    Call,
    CreateGroup,
    GroupView,
    Invitee,
    Message,
    Reply,
    Request,
    decode_envelope,
    encode,
)
from lanying.cluster.runtime import PUSH
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Notice, Provision, SyncDL, UnreadDL
from lanying.protocol.websocket import WebSocket
from lanying.shard.accounts import accounts
from lanying.shard.core.session import Session
from lanying.shard.shard import Shard
from lanying.shard.store.memory import MemoryStore

START_MS = EPOCH_MS + 10_000_000


class Simulation:
    """A whole server in one object.

    :param shards: how many
    :param stores: other stores than empty ones in memory, one per shard
    :param shard_map: another than the even one
    :ivar hold: process names whose envelopes are kept back until they leave this set
    :ivar to_push: what was sent to the push process
    """

    def __init__(
        self,
        shards: int = 2,
        config: Config | None = None,
        *,
        stores: list[Any] | None = None,
        shard_map: ShardMap | None = None,
        now_ms: int = START_MS,
    ) -> None:
        self.config = config or Config()
        self.map = shard_map or ShardMap.even(shards)
        self.now = 1000.0
        self.now_ms = now_ms
        self.hold: set[str] = set()
        self.greeting: dict[int, list[bytes]] = {}
        """What a session without a device is sent, by descriptor."""
        self.to_push: list[Message] = []
        self._wire: deque[tuple[str, bytes]] = deque()
        self._calls: dict[int, Callable[[Reply], None]] = {}
        self._call_number = 0
        self._next_fd = 10
        self.devices: dict[tuple[int, int], Device] = {}
        self.stores = stores or [MemoryStore() for _ in range(shards)]
        self.shards = [self._make(index) for index in range(shards)]
        for shard in self.shards:
            shard.links.greet(shard.tick)
        self.run()

    def _make(self, index: int) -> Shard:
        def ask(entity_id: int, request: Request[object], done: Callable[[Reply], None]) -> None:
            self._call_number += 1
            self._calls[self._call_number] = done
            call = Call(self._call_number, f"shard-{index}", 5000, encode(request))
            self._wire.append((f"shard-{self.map.shard_of(entity_id)}", encode(call)))

        shard = Shard(index, self.map, self.stores[index], self.config, ask)
        shard.turn(self.now, self.now_ms)
        return shard

    def user(self, name: str, app: str = "lanying") -> User:
        """Register somebody; names decide the shard."""
        shard = self.shards[self.map.shard_of_name(app, name)]
        info = accounts.claim(shard.work, app, name, "hash")
        return User(self, info.uid, name, app)

    def group(self, founder: User, *members: User) -> int:
        """Found a group with these members in it; its gid."""
        invitees = [Invitee(member.uid, False) for member in members]
        request = CreateGroup(founder.uid, founder.app, 0, "group", "", "", invitees, len(members) + 1)
        founder.shard.dispatch.call(Call(1, "gateway", 1000, encode(request)))
        reply = founder.shard.tick.envelopes[-1][1]
        assert isinstance(reply, Reply) and reply.refusal is None, reply
        self.run()
        return msgspec.msgpack.decode(reply.body, type=GroupView).info.gid

    def advance(self, seconds: float) -> None:
        """Time passes everywhere."""
        self.now += seconds
        self.now_ms += int(seconds * 1000)
        for shard in self.shards:
            shard.turn(self.now, self.now_ms)
            shard.pulls.end_loops()
            shard.links.clock(shard.tick)
        self.run()

    def call(self, index: int, request: Request[object]) -> bytes:
        """Ask a shard as a gateway does, and let everything that follows from it happen.

        :raises CallError: refused
        """
        self._call_number += 1
        replies: list[Reply] = []
        self._calls[self._call_number] = replies.append
        self.shards[index].dispatch.call(Call(self._call_number, "gateway", 5000, encode(request)))
        self.run()
        [reply] = replies
        if reply.refusal is not None:
            raise CallError(reply.refusal, reply.message, retry_s=reply.retry_s)
        return reply.body

    def crash(self, index: int, kept: int = 0) -> None:
        """Power failure of one shard: its memory and what it did not flush are gone, but for ``kept`` batches; it starts again."""
        for key, device in list(self.devices.items()):
            if self.map.shard_of(device.user.uid) == index:
                del self.devices[key]
        self.stores[index] = self.stores[index].crash(kept)
        self._wire = deque((name, blob) for name, blob in self._wire if name != f"shard-{index}")
        self.shards[index] = self._make(index)
        self.shards[index].links.greet(self.shards[index].tick)

    def run(self, *, settle: bool = True) -> None:
        """Ticks and envelopes until nothing moves. ``settle``: links are acknowledged, too."""
        for _ in range(100_000):
            moved = False
            for shard in self.shards:
                moved = self.commit(shard) or moved
            moved = self.carry() or moved
            if not moved and settle:
                for shard in self.shards:
                    moved = self.settle(shard) or moved
            if not moved:
                return
        raise AssertionError("the simulation does not come to rest")

    def settle(self, shard: Shard) -> bool:
        """What a ticker does when something of links is written for ``LINK_ACK_S``. False: there was nothing."""
        numbers = shard.links.take_written()
        if numbers:
            shard.work.store.flush()
            shard.links.settled(numbers)
        shard.links.acknowledge(shard.tick)
        return self.commit(shard)

    def commit(self, shard: Shard) -> bool:
        """Seal one tick, flush it and let it out. False: there was nothing."""
        if shard.tick.empty and not shard.links.lagging:
            return False
        tick = shard.seal()
        if tick.durable:
            shard.work.store.flush()
            shard.links.settled(tick.settles or {})
        for session, out in tick.wires().items():
            device = self.devices.get((session.uid, session.sn))
            if device is not None and device.session is session:
                device.read(b"".join(out))
            elif session.fd in self.greeting:
                self.greeting[session.fd].append(b"".join(out))
        for process, envelope in tick.envelopes:
            self._wire.append((process, encode(envelope)))
        for session in tick.closing:
            device = self.devices.get((session.uid, session.sn))
            if device is not None and device.session is session:
                device.closed = True
                del self.devices[session.uid, session.sn]
        return True

    def carry(self) -> bool:
        """What is on the bus now arrives. False: there was nothing."""
        moved = False
        for _ in range(len(self._wire)):
            process, blob = self._wire.popleft()
            if process in self.hold:
                self._wire.append((process, blob))
                continue
            moved = True
            message = decode_envelope(blob)
            if process.startswith("shard-"):
                self._arrive(self.shards[int(process[6:])], message)
            elif isinstance(message, Reply) and message.id in self._calls:
                self._calls.pop(message.id)(message)
            elif process == PUSH:
                self.to_push.append(message)
        return moved

    def _arrive(self, shard: Shard, message: Message) -> None:
        if isinstance(message, Reply):
            done = self._calls.pop(message.id, None)
            if done is not None:
                done(message)
        else:
            shard.dispatch.arrive(message)

    def drop(self, process: str) -> int:
        """Lose every envelope on its way to a process; how many."""
        before = len(self._wire)
        self._wire = deque((name, blob) for name, blob in self._wire if name != process)
        return before - len(self._wire)

    def next_fd(self) -> int:
        """A number no session has."""
        self._next_fd += 1
        return self._next_fd


class User:
    """Somebody with an account."""

    def __init__(self, simulation: Simulation, uid: int, name: str, app: str) -> None:
        self.simulation = simulation
        self.uid = uid
        self.name = name
        self.app = app

    @property
    def shard(self) -> Shard:
        """The shard that owns this user."""
        return self.simulation.shards[self.simulation.map.shard_of(self.uid)]

    @property
    def epoch(self) -> int:
        """Of a token given out now; 0: there is no account."""
        account = accounts.load(self.shard.work.store, self.uid)
        return 0 if account is None else account.info.epoch

    def device(self, guid: str = "first", *, automatic: bool = True, listing: bool = True) -> Device:
        """Log a device in.

        :param automatic: answers NOTICE and next_key like a client; else the test does
        :param listing: asks for the unread list first and pulls what is pending
        """
        return Device(self, guid, automatic, listing)


def login(user: User, guid: str, push: tuple[str, str] = ("", ""), os_type: int = 6) -> Login:
    """What a router hands over when a device of a user logs in. ``push``: notifier and token."""
    return Login(
        kind=XSYNC,
        app=user.app,
        uid=user.uid,
        epoch=user.epoch,
        guid=guid,
        os_type=os_type,
        info="Web",
        address="test",
        leftover=b"",
        notifier=push[0],
        device_token=push[1],
    )


class Device:
    """A logged-in client.

    :ivar metas: every Meta that came, in order
    :ivar acknowledged: client id -> server id
    :ivar refused: client id (0: none) -> (status code, reason)
    """

    def __init__(self, user: User, guid: str, automatic: bool, listing: bool) -> None:
        self.user = user
        self.simulation = user.simulation
        self.automatic = automatic
        self.metas: list[Meta] = []
        self.acknowledged: dict[int, int] = {}
        self.refused: dict[int, tuple[int, str]] = {}
        self.frames: list[tuple[int, Any]] = []
        self.notices: list[int] = []
        self.unread: dict[int, int] = {}
        self.pages: list[SyncDL] = []
        self.closed = False
        self._wire = WebSocket("client")
        simulation = self.simulation
        shard = user.shard
        fd = simulation.next_fd()
        self.session: Session = shard.admit(fd, Connection(XSYNC), login(user, guid))
        old = simulation.devices.get((user.uid, self.session.sn))
        if old is not None:  # the kick of the same device is still to be read by the old one
            simulation.commit(shard)
        simulation.devices[user.uid, self.session.sn] = self
        simulation.run()
        if listing:
            self.put(frame.unread_request())

    @property
    def sn(self) -> int:
        """Serial number."""
        return self.session.sn

    @property
    def texts(self) -> list[str]:
        """Contents of ordinary messages received, in order."""
        bodies = [MessageBody.FromString(meta.payload) for meta in self.metas if meta.ns == Meta.MESSAGE]
        return [body.content for body in bodies if body.type in (MessageBody.CHAT, MessageBody.GROUPCHAT)]

    @property
    def operations(self) -> list[tuple[int, int]]:
        """(type, message id) of operations received."""
        bodies = [MessageBody.FromString(meta.payload) for meta in self.metas if meta.ns == Meta.MESSAGE]
        return [(body.operation.type, body.operation.mid) for body in bodies if body.type == MessageBody.OPER]

    def put(self, data: bytes, *, run: bool = True) -> None:
        """Send a frame."""
        self.user.shard.received(self.session, data)
        if run:
            self.simulation.run()

    _last_mid = 1_700_000_000_000

    def send(
        self, to: User | int, content: str = "", *, client_mid: int = 0, run: bool = True, ns: int = 1, **fields: Any
    ) -> int:
        """Send a chat message (or what ``fields`` of MessageBody say). The client id used."""
        if not client_mid:
            Device._last_mid += 1
            client_mid = Device._last_mid
        peer = to if isinstance(to, int) else to.uid
        payload = fields.pop("payload", None)
        if payload is None:
            fields.setdefault("type", MessageBody.CHAT)
            payload = MessageBody(content=content, **fields).SerializeToString()
        self.put(
            frame.send_meta(client_mid, self.user.uid, self.sn, peer, self.simulation.now_ms, ns, payload), run=run
        )
        return client_mid

    def operate(
        self, to: User | int, kind: int, mid: int, conversation: int = 0, content: str = "", **fields: Any
    ) -> int:
        """Send an operation on message ``mid``."""
        operation: dict[str, Any] = {"type": kind, "mid": mid}
        if conversation:
            operation["xid"] = {"uid": conversation}
        return self.send(to, content, type=MessageBody.OPER, ctype=MessageBody.COMMAND, operation=operation, **fields)

    def history(self, peer: User | int, key: int = 0, amount: int = 20) -> SyncDL:
        """One page."""
        uid = peer if isinstance(peer, int) else peer.uid
        self.put(frame.history_request(uid, key, amount))
        return self.pages[-1]

    def history_texts(self, peer: User | int) -> list[str]:
        """Contents of the newest page, oldest first."""
        return [MessageBody.FromString(meta.payload).content for meta in reversed(self.history(peer).metas)]

    def pull(self, uid: int, key: int | None = None, *, run: bool = True) -> None:
        """Ask for what follows."""
        self.put(frame.sync_pull(uid, key), run=run)

    def leave(self) -> None:
        """The connection ends."""
        self.user.shard.left(self.session)
        self.simulation.devices.pop((self.user.uid, self.sn), None)
        self.closed = True

    def read(self, data: bytes) -> None:
        """Bytes from the server."""
        self._wire.feed(data)
        while (message := self._wire.next_message()) is not None:
            command, payload = parse_frame(message[1])
            if command == Frame.SYNC:
                self._sync(SyncDL.FromString(payload))
            elif command == Frame.NOTICE:
                notice = Notice.FromString(payload)
                self.notices.append(notice.xid.uid)
                if self.automatic:
                    self.put(frame.sync_pull(notice.xid.uid), run=False)
            elif command == Frame.UNREAD:
                unread = UnreadDL.FromString(payload)
                self.unread = {entry.xid.uid: entry.n for entry in unread.unread}
                if self.automatic:
                    for uid, count in self.unread.items():
                        if count:
                            self.put(frame.sync_pull(uid), run=False)
            elif command == Frame.PROVISION:
                self.frames.append((command, Provision.FromString(payload)))

    def _sync(self, sync: SyncDL) -> None:
        self.frames.append((Frame.SYNC, sync))
        assert sync.status.code, "status must be explicit on the wire"
        if sync.client_mid or sync.status.code != 1:
            if sync.status.code == 1:
                assert sync.server_mid, "an acknowledgement needs a server id"
                self.acknowledged[sync.client_mid] = sync.server_mid
            else:
                self.refused[sync.client_mid] = (sync.status.code, sync.status.reason)
            return
        assert sync.HasField("xid"), "xid is needed in every SyncDL that is no acknowledgement"
        if sync.is_full_sync:
            self.pages.append(sync)
            return
        self.metas += sync.metas
        if sync.next_key and self.automatic:
            self.put(frame.sync_pull(sync.xid.uid, sync.next_key), run=False)
