"""Whole shards: frames of clients, calls of a gateway and link messages of another shard, made of bytes by what they mean.

Nothing of it fails an event or ends a shard; every call has one reply, every frame an answer (or its connection is closed); the sessions
of others stay and are served; rows grow by what was asked and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lanying.base import limits
from lanying.base.errors import Refused
from lanying.base.ids import MAX_ENTITY_ID
from lanying.bus.messages import AddApp, Deliver, HoldLinks, LinkMessage, PostMany, Request, decode_bundle, encode
from lanying.bus.messages.base import kinds
from lanying.protocol.frame import SYNC
from lanying.protocol.schema.xsync_pb2 import Conversation, Frame, MessageBody, Meta, Provision, RtcSignal, SyncUL
from lanying.testing.simulation import Device
from tests.fuzz.answers import NOTHING, is_answered
from tests.fuzz.source import Source, Values
from tests.fuzz.target import Found, Target
from tests.fuzz.town import Town

STEPS = 12
OTHERS_TALK_EVERY = 4
"""Inputs: what keeps others from being served does not go by itself, and their talk takes a quarter of the time."""
ROWS_PER_STEP = 400
NOT_ASKED = {AddApp, HoldLinks}
"""What changes the rules for all, and what stops shards from hearing each other: only the server itself asks it."""
CALLS = sorted((kind for kind in kinds(Request) if kind not in NOT_ASKED), key=lambda kind: kind.__name__)
LINKS = sorted(kinds(LinkMessage), key=lambda kind: kind.__name__)


class Shards(Target):
    """A sequence of steps; see the module."""

    unit = "frames, calls and link messages"
    renewed_every = 200
    excused = "event=entry_unreadable"
    """A link message may bring a body that no shard would send: it is stored, and named in the log when it is read."""

    def renew(self) -> None:
        self.town = Town()
        self._since = 0
        town = self.town
        hostile = [user.uid for user in town.hostile]
        everybody = [*hostile, *(device.user.uid for device in town.bystanders), *town.gids]
        edges = (0, 1, MAX_ENTITY_ID, (1 << 53) - 1)
        self._anybody = (*everybody, *everybody, *edges, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
        mine = (*hostile, *town.gids, *edges)

        def who(source: Source) -> int:
            return source.pick(mine)

        def mid(source: Source) -> int:
            return source.pick(self._mids)

        makers: dict[str, Callable[[Source], Any]] = dict.fromkeys(
            ("uid", "other", "peer", "gid", "sender", "target", "member"), who
        )
        makers |= {"by": who, "mid": mid, "app": lambda source: "lanying", "source": lambda source: source.byte() % 2}
        small = dict.fromkeys(
            ("seq", "start", "upto", "first"), lambda source: source.byte() % 20
        )  # positions are given by shards
        makers |= small | {"notice": lambda source: 1 + source.byte() % 10}
        makers |= {"ns": lambda source: source.pick((Meta.ROSTER_NOTICE, Meta.GROUP_NOTICE))}
        makers |= {"meta": self._meta, "payload": lambda source: self._body(source), "user": who, "owner": who}
        makers |= {"body": self._request, "request": self._request}
        self._values = Values(makers, 53)
        self._mids = (*town.mids, *edges, 1 << 32, (1 << 63) - 1)
        self._steps: tuple[Callable[[Source], None], ...] = (
            self._frame,
            self._frame,
            self._frame,
            self._call,
            self._link,
            self._time,
        )

    def seeds(self) -> list[bytes]:
        return [
            bytes((start * 7 + step * at) % 256 for at in range(120)) for start in range(12) for step in (1, 3, 11, 37)
        ]

    def judge(self, data: bytes) -> None:
        town, source = self.town, Source(data)
        failed, rows, steps = town.failed_events, town.rows, 0
        for device in town.phones:
            device.frames.clear()
            device.metas.clear()
            device.pages.clear()
            device.unread = NOTHING
        self._asked: list[tuple[Device, bytes]] = []
        town.sim.replies.clear()
        try:
            while source.left and steps < STEPS:
                steps += 1
                source.pick(self._steps)(source)
        except Refused:  # a call has ended the attacker's account
            self.renew()
            return
        self.units += steps
        town.sim.run()
        town.sim.advance(1.0)
        self._answered()
        if town.failed_events != failed:
            raise Found("an event failed")
        self._since += 1
        if self._since % OTHERS_TALK_EVERY == 1 and not town.others_talk():
            raise Found("others are not served")
        if town.rows - rows > ROWS_PER_STEP * (steps + 1):
            raise Found(f"{town.rows - rows} rows by {steps} steps")
        for device in town.phones:
            if len(device.session.loops) > limits.LOOPS_PER_SESSION:
                raise Found(f"{len(device.session.loops)} pull loops")

    def _answered(self) -> None:
        sim = self.town.sim
        unanswered = [number for number, count in sim.replies.items() if count != 1]
        if unanswered:
            sim.advance(10.0)
            unanswered = [number for number, count in sim.replies.items() if count != 1]
        if unanswered:
            raise Found(f"replies by call: {sim.replies}")
        for device, data in self._asked:
            syncs = [sync for kind, sync in device.frames if kind == SYNC]
            if not device.closed and not is_answered(device, data, syncs):
                raise Found(f"no answer to {data!r}, there are {device.frames}")

    # --- steps -----------------------------------------------------------------------------------------------------

    def _frame(self, source: Source) -> None:
        phone = self.town.phone(source.byte())
        data = self._any_frame(source, phone.user.uid)
        self._asked.append((phone, data))
        phone.put(data, run=source.byte() % 2 == 0)

    def _call(self, source: Source) -> None:
        shard = self.town.sim.shards[source.byte() % 2]
        self.town.sim.put_call(shard, self._request(source))

    def _link(self, source: Source) -> None:
        """As another shard sends it: the door is on the sender's side, so what is in it may be anything."""
        kind = Deliver if source.byte() % 2 else source.pick(LINKS)
        work = self.town.sim.shards[source.byte() % 2].work
        try:
            [message] = decode_bundle(encode([self._values.struct(kind, source)]))
        except msgspec.ValidationError:
            return
        work.event(work.apply, message)

    def _time(self, source: Source) -> None:
        self.town.sim.advance(source.pick((1.0, 0.1, 61.0, 3600.0)))

    # --- what is in them -------------------------------------------------------------------------------------------

    def _request(self, source: Source) -> bytes:
        if source.byte() > 250:
            return source.chunk()
        request = self._values.struct(source.pick(CALLS), source)
        if isinstance(request, PostMany):
            request.targets = request.targets or [self.town.accomplice.uid]
            request.client_mids = [source.number(53) for _ in request.targets]
        return encode(request)

    def _any_frame(self, source: Source, uid: int) -> bytes:
        kind = source.byte()
        command: Any = source.pick((1, 1, 1, 1, 0, 3, 2, 9))
        if kind > 245:
            return source.chunk()
        if command == Frame.PROVISION:
            provision = Provision(token=source.text()[:99], os_type=source.byte() % 9)  # type: ignore[arg-type]
            provision.xid.uid = source.pick(self._anybody)
            return bytes(Frame(command=command, payload=provision.SerializeToString()).SerializeToString())
        sync = SyncUL(is_full_sync=kind % 5 == 0, full_sync_num=source.pick((0, 1, 20, -1, (1 << 31) - 1, -(1 << 31))))
        sync.xid.uid = source.pick(self._anybody)
        sync.xid.deviceSN = source.number(32)
        sync.key = source.pick(self._mids) if kind % 2 else source.number()
        if kind % 3:
            sync.meta.ParseFromString(self._meta(source, uid))
        return bytes(Frame(command=command, payload=sync.SerializeToString()).SerializeToString())

    def _meta(self, source: Source, uid: int = 0) -> bytes:
        meta = Meta(id=source.pick(self._mids) if source.byte() % 2 else source.number(), timestamp=source.number())
        meta.ns = source.pick((1, 1, 1, 1, 1, 0, 2, 3, 4, 5, 6, 7, 8, 99))  # type: ignore[assignment]
        getattr(meta, "from").uid = source.pick((0, uid or self.town.attacker.uid, *self._anybody))
        meta.to.uid = source.pick(self._anybody)
        meta.payload = self._body(source)
        return meta.SerializeToString()

    def _body(self, source: Source) -> bytes:
        kind = source.byte()
        if kind > 245:
            return source.chunk()
        if kind > 230:
            conversation = Conversation()
            conversation.operation.xid.uid = source.pick(self._anybody)
            conversation.operation.type = source.byte() % 9  # type: ignore[assignment]
            return conversation.SerializeToString()
        if kind > 225:
            return RtcSignal(content=source.text(), media_server=source.text()).SerializeToString()
        return self._message(source).SerializeToString()

    def _message(self, source: Source) -> MessageBody:
        body = MessageBody(content=source.text(), priority=source.number(32))
        body.type = source.pick((1, 1, 2, 3, 0, 4, 99))  # type: ignore[assignment]
        body.ctype = source.pick((0, 1, 5, 6, 7, 8, 9, 99))  # type: ignore[assignment]
        body.qos = source.pick((0, 0, 1, 2, 9))  # type: ignore[assignment]
        which = source.byte()
        if which & 1:
            body.config = source.text()
        if which & 2:
            body.ext = source.text()
        if which & 4:
            body.attachment = source.text()
        if which & 8:
            body.status, body.edit_timestamp, body.is_system = source.byte(), source.number(), True
        if which & 0x30:
            body.operation.type = source.byte() % 20  # type: ignore[assignment]
            body.operation.mid = source.pick(self._mids)
            body.operation.xid.uid = source.pick(self._anybody)
        return body
