"""The client's side of the protocol for a load generator: as few steps per message as the wire allows, no I/O.

A :class:`Device` is fed with what its socket gave and answers like the web SDK (xsync 5.3 to 5.6): it acknowledges
every push with its key, pulls after a NOTICE, ends its pull loops, and counts. Frames it expects are read by their
first bytes; whatever looks different goes through protobuf, so an unexpected answer is slow, never misread.

Every message carries a *stamp* at the start of its content::

    offset  size  field
    0       6     "LB" + 4 characters of the run
    6       8     index of the sender, hexadecimal
    14      8     sequence of this sender, hexadecimal, from 0 without gap
    22      16    intended time of sending, microseconds of CLOCK_MONOTONIC (the same in all processes), hexadecimal
    38      …     filler

Client frames are masked with the key 0, which RFC 6455 allows and which makes masking free.
"""

from __future__ import annotations

import struct
from array import array
from binascii import unhexlify
from collections import deque
from typing import Final

from lanying.protocol import frame, handshake
from lanying.protocol.connection import SOCKETIO, XSYNC, wrap_client
from lanying.protocol.frame import parse_frame, varint
from lanying.protocol.schema.xsync_pb2 import Notice, Provision, SyncDL, UnreadDL

STAMP_BYTES: Final = 38
MARKER_BYTES: Final = 6
NO_MASK: Final = bytes(4)
KEY: Final = "bGFueWluZy1iZW5jaC0wMQ=="
_ACCEPT: Final = handshake.accept_key(KEY).encode()
_OK = b"\x0a\x02\x08\x01"
_unpack_stamp = struct.Struct(">IIQ").unpack
_SYNC_HEAD = b"\x08\x00\x10\x00\x18\x01\x22"

CLOSED: Final = 0
CONNECTING: Final = 1
UPGRADING: Final = 2
OPENING: Final = 3
"""Socket.IO: waiting for ``40``."""
LOGIN: Final = 4
READY: Final = 5


def xsync_frame(data: bytes) -> bytes:
    """A frame as ``/xsync`` takes it."""
    return wrap_client(XSYNC, data, NO_MASK)


def socketio_frame(data: bytes) -> bytes:
    """A frame as ``/socket.io/`` takes it."""
    return wrap_client(SOCKETIO, data, NO_MASK)


UNREAD_REQUEST: Final = {XSYNC: xsync_frame(frame.unread_request()), SOCKETIO: socketio_frame(frame.unread_request())}
ENGINE_PING: Final = b"\x81\x81\0\0\0\x002"


class Window:
    """Which messages are measured, by intended time in microseconds: ``start <= t < stop``; latencies per second."""

    __slots__ = ("acknowledged", "delivered", "start", "stop")

    def __init__(self, start: int = 0, stop: int = 0) -> None:
        self.start = start
        self.stop = stop
        seconds = max(0, -(-(stop - start) // 1_000_000))
        self.acknowledged = [array("I") for _ in range(seconds)]
        self.delivered = [array("I") for _ in range(seconds)]


class Tally:
    """Counters of all devices of one worker.

    :ivar received: messages, each counted once; ``duplicated`` and ``reordered`` come on top
    :ivar reordered: messages that came behind a later one of the same sender
    :ivar foreign: messages of another run
    :ivar freed: senders whose message has arrived; taken by the closed loop
    """

    __slots__ = (
        "acknowledged",
        "batches",
        "disconnected",
        "duplicated",
        "ends",
        "errors",
        "foreign",
        "freed",
        "notices",
        "pages",
        "received",
        "refused",
        "reordered",
        "sent",
        "unknown_acknowledgements",
        "window",
    )

    COUNTERS: Final = (
        "sent", "acknowledged", "received", "duplicated", "reordered", "refused", "unknown_acknowledgements", "foreign",
        "batches", "ends", "notices", "disconnected",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sent = self.acknowledged = self.received = self.duplicated = self.reordered = self.refused = 0
        self.unknown_acknowledgements = self.foreign = self.batches = self.ends = self.notices = self.disconnected = 0
        self.errors: dict[str, int] = {}
        self.window = Window()
        self.freed: list[int] = []
        self.pages = array("I")

    def error(self, text: str) -> None:
        """Count something that should not happen, by its text."""
        if len(self.errors) < 50 or text in self.errors:
            self.errors[text] = self.errors.get(text, 0) + 1

    def counters(self) -> dict[str, int]:
        """The plain counters."""
        return {name: int(getattr(self, name)) for name in self.COUNTERS}


class Device:
    """One logged-in client.

    :param index: number of the user in this run, in every stamp
    :param target: whom it sends to, a uid; 0 for nobody
    :ivar waiting: messages sent and not acknowledged: (client id as a varint, intended time)
    :ivar expected: next sequence by sender; ``missing``: sequences skipped so far, by sender
    :ivar out: bytes for the socket
    """

    __slots__ = (
        "_base",
        "_filler",
        "_head",
        "_marker",
        "_middle",
        "_size",
        "_tail",
        "_token",
        "_wrap",
        "expected",
        "fd",
        "guid",
        "index",
        "kind",
        "looped",
        "missing",
        "out",
        "page_asked",
        "refused",
        "rest",
        "sequence",
        "sn",
        "started",
        "state",
        "tally",
        "target",
        "uid",
        "unsent",
        "waiting",
    )

    def __init__(
        self,
        tally: Tally,
        index: int,
        uid: int,
        token: str,
        guid: str,
        target: int,
        *,
        marker: bytes,
        size: int,
        base: int,
        kind: int = XSYNC,
    ) -> None:
        assert len(marker) == MARKER_BYTES and size >= STAMP_BYTES
        self.tally = tally
        self.index = index
        self.uid = uid
        self.guid = guid
        self.target = target
        self.kind = kind
        self.fd = -1
        self.state = CLOSED
        self.started = 0
        self.sn = 0
        self.rest = b""
        self.out: list[bytes] = []
        self.unsent = b""
        self.sequence = 0
        self.waiting: deque[tuple[bytes, int]] = deque()
        self.expected: dict[int, int] = {}
        self.missing: dict[int, set[int]] = {}
        self.refused: list[int] = []
        self.page_asked = 0
        self.looped = False
        self._token = token
        self._marker = marker
        self._size = size
        self._base = base
        self._wrap = socketio_frame if kind == SOCKETIO else xsync_frame
        self._filler = bytes(32 + i % 90 for i in range(size - STAMP_BYTES))
        self._head = self._middle = self._tail = b""

    # --- out -----------------------------------------------------------------------------------------------------

    def upgrade(self, host: str) -> bytes:
        """The HTTP request a connection starts with."""
        self.state = UPGRADING
        self.rest = b""
        return handshake.upgrade_request(host, handshake.client_path(self.kind), KEY)

    def _login(self) -> None:
        self.state = LOGIN
        self.out.append(self._wrap(frame.provision(self.uid, self._token, self.guid, "bench", sn=self.sn)))

    def _prepare(self) -> None:
        """Everything of a message that does not change: client id, time and stamp have a fixed width."""
        example = frame.send_meta(1 << 40, self.uid, self.sn, self.target, 1 << 40, 1, self._body(b"x" * self._size))
        wire = self._wrap(example)
        number = varint(1 << 40)
        first = wire.index(b"\x08" + number + b"\x12") + 1
        second = wire.index(b"\x20" + number, first) + 1
        content = wire.index(b"x" * self._size)
        self._head = wire[:first]
        self._middle = wire[first + 6 : second]
        self._tail = wire[second + 6 : content]

    @staticmethod
    def _body(content: bytes) -> bytes:
        """MessageBody: type CHAT, content."""
        return b"\x08\x02\x22" + varint(len(content)) + content

    def send(self, intended: int, time_ms: bytes) -> None:
        """Owe the socket the next message.

        :param intended: microseconds, when it should have left
        :param time_ms: the wall clock as a varint of six bytes
        """
        sequence = self.sequence
        self.sequence = sequence + 1
        mid = varint(self._base + sequence)
        self.waiting.append((mid, intended))
        self.tally.sent += 1
        self.out.append(
            b"%b%b%b%b%b%b%08x%08x%016x%b"
            % (
                self._head,
                mid,
                self._middle,
                time_ms,
                self._tail,
                self._marker,
                self.index,
                sequence,
                intended,
                self._filler,
            )
        )

    def ask_page(self, amount: int, now: int) -> None:
        """Ask for the newest history page with the target."""
        self.page_asked = now
        self.out.append(self._wrap(frame.history_request(self.target, 0, amount)))

    def pull(self, uid: int) -> None:
        """Ask for what is pending in a queue."""
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
        socketio = self.kind == SOCKETIO
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
        if self.kind == XSYNC:
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
                    self._acknowledged(waiting.popleft()[1], now)
                    return
            elif tag == 0x12:  # metas
                if self._batch(data, at + 4, end, now):
                    return
            elif tag == 0x22 and data[end - 2 : end] != b"\x40\x01":  # end of a pull loop
                self.tally.ends += 1
                self.looped = False
                return
        self._other(data[start:end], now)

    def _acknowledged(self, intended: int, now: int) -> None:
        tally = self.tally
        tally.acknowledged += 1
        window = tally.window
        if window.start <= intended < window.stop:
            window.acknowledged[(intended - window.start) // 1_000_000].append(max(0, now - intended))

    def _batch(self, data: bytes, at: int, end: int, now: int) -> bool:
        """``12 meta … 18 key 22 xid [40 01 | 48 mid 50 01]``. False: not of this form."""
        ends = []
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
            self._arrived(data[content : content + STAMP_BYTES], now)
        self.tally.batches += 1
        payload = b"\x0a" + xid + b"\x10" + key
        body = b"%b%c%b" % (_SYNC_HEAD, len(payload), payload)
        if self.kind == XSYNC:
            self.out.append(b"\x82%c\0\0\0\0%b" % (0x80 | len(body), body))
        else:
            self.out.append(socketio_frame(body))
        return True

    def _arrived(self, stamp: bytes, now: int) -> None:
        tally = self.tally
        if stamp[:MARKER_BYTES] != self._marker:
            tally.foreign += 1
            return
        sender, sequence, intended = _unpack_stamp(unhexlify(stamp[MARKER_BYTES:]))
        expected = self.expected
        wanted = expected.get(sender, 0)
        if sequence == wanted:
            expected[sender] = wanted + 1
        elif not self._out_of_turn(sender, sequence, wanted):
            return
        tally.received += 1
        tally.freed.append(sender)
        window = tally.window
        if window.start <= intended < window.stop:
            window.delivered[(intended - window.start) // 1_000_000].append(max(0, now - intended))

    def _out_of_turn(self, sender: int, sequence: int, wanted: int) -> bool:
        """A sequence that is not the next one. False: it was there before."""
        missing = self.missing.setdefault(sender, set())
        if sequence > wanted:
            missing.update(range(wanted, sequence))
            self.expected[sender] = sequence + 1
            return True
        if sequence in missing:
            missing.discard(sequence)
            self.tally.reordered += 1
            return True
        self.tally.duplicated += 1
        return False

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
            self.pull(Notice.FromString(payload).xid.uid)
        elif command == frame.UNREAD:
            for entry in UnreadDL.FromString(payload).unread:
                if entry.n:
                    self.pull(entry.xid.uid)
        elif command == frame.PROVISION:
            answer = Provision.FromString(payload)
            if answer.status.code != frame.OK:
                tally.error(f"login refused: {answer.status.code} {answer.status.reason}")
                self.state = CLOSED
                return
            self.sn = answer.xid.deviceSN
            self.state = READY
            if self.target:
                self._prepare()

    def _sync(self, sync: SyncDL, now: int) -> None:
        tally = self.tally
        if sync.client_mid:
            sequence = sync.client_mid - self._base
            wire = varint(sync.client_mid)
            found = next((one for one in self.waiting if one[0] == wire), None)
            if found is None:
                tally.unknown_acknowledgements += 1
                return
            self.waiting.remove(found)
            if sync.status.code == frame.OK:
                self._acknowledged(found[1], now)
            else:
                tally.refused += 1
                tally.freed.append(self.index)
                self.refused.append(sequence)
                tally.error(f"message refused: {sync.status.code} {sync.status.reason}")
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
                self._arrived(meta.payload[at : at + STAMP_BYTES], now)
            elif meta.ns == 1:
                tally.foreign += 1
        if sync.next_key:
            tally.batches += 1
            self.out.append(self._wrap(frame.sync_pull(sync.xid.uid, sync.next_key)))
        elif not sync.metas:
            tally.ends += 1
            self.looped = False
