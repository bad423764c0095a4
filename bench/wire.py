"""The client's side of the Lanying protocol for a load generator: as few steps per message as the wire allows, no I/O.

A :class:`Device` is fed with what its socket gave and answers like the web SDK (xsync 5.3 to 5.6): it acknowledges
every push with its key, pulls after a NOTICE, ends its pull loops, and counts. Frames it expects are read by their
first bytes; whatever looks different goes through protobuf, so an unexpected answer is slow, never misread.

Client frames are masked with the key 0, which RFC 6455 allows and which makes masking free.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bench.client import CLOSED, LOGIN, READY, Client, Member, Setting
from bench.tally import MARKER_BYTES, STAMP_BYTES, Tally
from lanying.protocol import frame, handshake
from lanying.protocol.connection import SOCKETIO, XSYNC, wrap_client
from lanying.protocol.frame import parse_frame, varint
from lanying.protocol.schema.xsync_pb2 import Notice, Provision, SyncDL, UnreadDL

NO_MASK: Final = bytes(4)
KEY: Final = "bGFueWluZy1iZW5jaC0wMQ=="
_ACCEPT: Final = handshake.accept_key(KEY).encode()
_OK = b"\x0a\x02\x08\x01"
_SYNC_HEAD = b"\x08\x00\x10\x00\x18\x01\x22"
_NUMBER = varint(1 << 40)
"""Stands for a client id or a time: six bytes."""
UNREAD_US: Final = 50_000_000
ENGINE_PING_US: Final = 25_000_000

UPGRADING: Final = 10
OPENING: Final = 11
"""Socket.IO: waiting for ``40``."""


def xsync_frame(data: bytes) -> bytes:
    """A frame as ``/xsync`` takes it."""
    return wrap_client(XSYNC, data, NO_MASK)


def socketio_frame(data: bytes) -> bytes:
    """A frame as ``/socket.io/`` takes it."""
    return wrap_client(SOCKETIO, data, NO_MASK)


UNREAD_REQUEST: Final = {XSYNC: xsync_frame(frame.unread_request()), SOCKETIO: socketio_frame(frame.unread_request())}
ENGINE_PING: Final = b"\x81\x81\0\0\0\x002"


def _text(stamp: bytes, size: int, group: bool) -> bytes:
    """MessageBody: type CHAT or GROUPCHAT, content of ``size`` bytes."""
    filler = bytes(32 + i % 90 for i in range(size - STAMP_BYTES))
    return b"\x08%c\x22%b%b%b" % (3 if group else 2, varint(size), stamp, filler)


def _picture(stamp: bytes) -> bytes:
    """MessageBody of a picture in a group: the file is elsewhere, the attachment describes it (xsync 6.2)."""
    url = "http://127.0.0.1/file/download/chat?file_sign=0123456789abcdef0123456789abcdef"
    picture = {"url": url, "dName": "IMG_0001.jpg", "fLen": 214_000, "width": 1600, "height": 1200}
    attachment = msgspec.json.encode(picture)
    return b"\x08\x03\x22%b%b\x28\x01\x42%b%b" % (varint(STAMP_BYTES), stamp, varint(len(attachment)), attachment)


class Device(Client):
    """A client of a lanying server.

    :ivar looped: a pull loop is open
    """

    __slots__ = ("_base", "_count", "_kind", "_templates", "_unread_at", "_wrap", "guid", "looped", "sn")

    def __init__(self, tally: Tally, member: Member, setting: Setting) -> None:
        super().__init__(tally, member, setting)
        self._kind = SOCKETIO if setting.protocol == "socketio" else XSYNC
        self._wrap = socketio_frame if self._kind == SOCKETIO else xsync_frame
        self.beat_us = ENGINE_PING_US if self._kind == SOCKETIO else UNREAD_US
        self.guid = f"{member.uid}_{setting.guid}"
        self.sn = 0
        self.looped = False
        self._base = setting.base
        self._count = 0
        self._unread_at = 0
        self._templates: dict[int, tuple[bytes, bytes, bytes, bytes]] = {}

    # --- out -----------------------------------------------------------------------------------------------------

    def hello(self, host: str) -> bytes:
        """The upgrade request."""
        self.state = UPGRADING
        self.rest = b""
        return handshake.upgrade_request(host, handshake.client_path(self._kind), KEY)

    def _login(self) -> None:
        self.state = LOGIN
        self.out.append(self._wrap(frame.provision(self.uid, self.token, self.guid, "bench", sn=self.sn)))

    def ready(self, unread: bool) -> None:
        """Ask for the unread list, as the web SDK does."""
        if unread:
            self.out.append(UNREAD_REQUEST[self._kind])

    def beat(self) -> None:
        """A heartbeat every 50 s, over Socket.IO a ping every 25 s too."""
        self._unread_at += self.beat_us
        if self._kind == SOCKETIO:
            self.out.append(ENGINE_PING)
        if self._unread_at >= UNREAD_US:
            self._unread_at = 0
            self.out.append(UNREAD_REQUEST[self._kind])

    def _template(self, number: int) -> tuple[bytes, bytes, bytes, bytes]:
        """Everything of a message that does not change, around client id, time and stamp, which have a fixed width."""
        route = self.routes[number]
        stamp = b"x" * STAMP_BYTES
        body = _picture(stamp) if route.picture else _text(stamp, self._size, route.group)
        wire = self._wrap(frame.send_meta(1 << 40, self.uid, self.sn, route.to, 1 << 40, 1, body))
        first = wire.index(b"\x08" + _NUMBER + b"\x12") + 1
        second = wire.index(b"\x20" + _NUMBER, first) + 1
        content = wire.index(stamp)
        found = (wire[:first], wire[first + 6 : second], wire[second + 6 : content], wire[content + STAMP_BYTES :])
        self._templates[number] = found
        return found

    def send(self, number: int, intended: int, time_ms: bytes) -> None:
        """Owe the socket the next message of a route."""
        head, middle, tail, rest = self._templates.get(number) or self._template(number)
        mid = varint(self._base + self._count)
        self._count += 1
        stamp, sequence = self.stamp(number, intended)
        self.waiting.append((mid, intended, number, sequence))
        self.out.append(b"%b%b%b%b%b%b%b" % (head, mid, middle, time_ms, tail, stamp, rest))

    def ask_page(self, amount: int, now: int) -> None:
        """Ask for the newest history page of the first conversation."""
        self.page_asked = now
        self.out.append(self._wrap(frame.history_request(self.routes[0].to, 0, amount)))

    def catch_up(self) -> None:
        """Ask again for what may be pending: the unread list names the queues."""
        for to in {route.to for route in self.routes}:
            self._pull(to)
        self.out.append(UNREAD_REQUEST[self._kind])

    def _pull(self, uid: int) -> None:
        self.looped = True
        self.out.append(self._wrap(frame.sync_pull(uid)))

    # --- in ------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: int) -> None:
        """Bytes from the socket, read at ``now`` (microseconds)."""
        if self.rest:
            data = self.rest + data
        at = 0
        if self.state == UPGRADING:
            at = self._upgraded(data)
            if not at:
                self.rest = data
                return
        size = len(data)
        socketio = self._kind == SOCKETIO
        while at + 2 <= size:
            length = data[at + 1]
            start = at + 2
            if length > 125:
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start], "big")
            end = start + length
            if end > size:
                break
            if data[at] == 0x82:
                self._frame(data, start + 1 if socketio else start, end, now)
            else:
                self._control(data[at], data[start:end])
            at = end
        self.rest = data[at:] if at < size else b""

    def _upgraded(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101") or _ACCEPT not in data[:end]:
            self.tally.error("upgrade: " + data[:60].decode("latin-1").partition("\r")[0])
            self.state = CLOSED
            return len(data)
        if self._kind == XSYNC:
            self._login()
        else:
            self.state = OPENING
        return end + 4

    def _control(self, first: int, payload: bytes) -> None:
        if first == 0x81:
            if payload == b"40" and self.state == OPENING:
                self._login()
            elif payload in (b"41", b"1"):
                self.state = CLOSED
        elif first == 0x89:
            self.out.append(bytes((0x8A, 0x80 | len(payload))) + NO_MASK + payload)
        elif first == 0x88:
            code = int.from_bytes(payload[:2], "big")
            self.tally.error(f"closed by the server: {code} {payload[2:].decode('utf-8', 'replace')}")
            self.state = CLOSED

    def _frame(self, data: bytes, start: int, end: int, now: int) -> None:
        if data[start : start + 3] != b"\x18\x01\x22":
            self._other(data[start:end], now)
            return
        at = start + 3
        while data[at] > 127:
            at += 1
        at += 1
        if data[at : at + 4] == _OK:
            tag = data[at + 4] if at + 4 < end else 0
            if tag == 0x28:  # acknowledgement
                waiting = self.waiting
                if waiting and data[at + 5 : at + 11] == waiting[0][0]:
                    self.acknowledged(waiting.popleft()[1], now)
                    return
            elif tag == 0x12:  # metas
                if self._batch(data, at + 4, end, now):
                    return
            elif tag == 0x22 and data[end - 2 : end] != b"\x40\x01":  # end of a pull loop
                self.tally.ends += 1
                self.looped = False
                return
        self._other(data[start:end], now)

    def _batch(self, data: bytes, at: int, end: int, now: int) -> bool:
        """``12 meta … 18 key 22 xid [40 01 | 48 mid 50 01]``. False: not of this form."""
        ends = []
        begin = at
        while at < end and data[at] == 0x12:
            length = data[at + 1]
            at += 2
            if length > 127:
                length += (data[at] << 7) - 128
                at += 1
                if length > 0x3FFF:
                    return False
            at += length
            ends.append(at)
        if at >= end or data[at] != 0x18:
            return False
        first = at = at + 1
        while data[at] > 127:
            at += 1
        at += 1
        key = data[first:at]
        if data[at] != 0x22:
            return False
        length = data[at + 1]
        xid = data[at + 1 : at + 2 + length]
        at += 2 + length
        if at < end and data[at] == 0x40:
            self._page(now)
            return True
        for last in ends:
            content = last - self._size
            if data[content : content + MARKER_BYTES] != self._marker:
                content = max(0, data.find(self._marker, begin, last))  # a picture, or not a message
            begin = last
            self.arrived(data[content : content + STAMP_BYTES], now)
        self.tally.batches += 1
        payload = b"\x0a" + xid + b"\x10" + key
        body = b"%b%c%b" % (_SYNC_HEAD, len(payload), payload)
        if self._kind == XSYNC:
            self.out.append(b"\x82%c\0\0\0\0%b" % (0x80 | len(body), body))
        else:
            self.out.append(socketio_frame(body))
        return True

    def _page(self, now: int) -> None:
        asked = self.page_asked
        self.page_asked = 0
        window = self.tally.window
        if window.start <= asked < window.stop:
            self.tally.pages.append(max(0, now - asked))

    # --- in: everything else -------------------------------------------------------------------------------------

    def _other(self, data: bytes, now: int) -> None:
        command, payload = parse_frame(data)
        tally = self.tally
        if command == frame.SYNC:
            self._sync(SyncDL.FromString(payload), now)
        elif command == frame.NOTICE:
            tally.notices += 1
            self._pull(Notice.FromString(payload).xid.uid)
        elif command == frame.UNREAD:
            for entry in UnreadDL.FromString(payload).unread:
                if entry.n:
                    self._pull(entry.xid.uid)
        elif command == frame.PROVISION:
            answer = Provision.FromString(payload)
            if answer.status.code != frame.OK:
                tally.error(f"login refused: {answer.status.code} {answer.status.reason}")
                self.state = CLOSED
                return
            self.sn = answer.xid.deviceSN
            self.state = READY
            self._templates.clear()

    def _sync(self, sync: SyncDL, now: int) -> None:
        tally = self.tally
        if sync.client_mid:
            self._answered(sync, now)
            return
        if sync.status.code != frame.OK:
            tally.error(f"error: {sync.status.code} {sync.status.reason}")
            return
        if sync.is_full_sync:
            self._page(now)
            return
        for meta in sync.metas:
            at = meta.payload.find(self._marker)
            if at >= 0:
                self.arrived(meta.payload[at : at + STAMP_BYTES], now)
            elif meta.ns == 1:
                tally.foreign += 1
        if sync.next_key:
            tally.batches += 1
            self.out.append(self._wrap(frame.sync_pull(sync.xid.uid, sync.next_key)))
        elif not sync.metas:
            tally.ends += 1
            self.looped = False

    def _answered(self, sync: SyncDL, now: int) -> None:
        """An answer to a message that is not the oldest one waiting, or a refusal."""
        mid = varint(sync.client_mid)
        found = next((one for one in self.waiting if one[0] == mid), None)
        if found is None:
            self.tally.unknown_acknowledgements += 1
            return
        self.waiting.remove(found)
        _, intended, number, sequence = found
        if sync.status.code == frame.OK:
            self.acknowledged(intended, now)
        else:
            self.was_refused(number, sequence, f"{sync.status.code} {sync.status.reason}")
