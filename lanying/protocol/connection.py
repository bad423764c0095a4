"""Frames over WebSocket, in the two framings of this server (xsync 3.1 and 3.2).

``XSYNC`` (path ``/xsync``): one binary WebSocket message is one Frame. Nothing else.

``SOCKETIO`` (path ``/socket.io/``): Socket.IO protocol 4 over Engine.IO protocol 3, as the web SDK speaks it. The first
byte of a WebSocket message is the Engine.IO packet type; text ``4`` is a Socket.IO packet::

    text    0{"sid":…,"pingInterval":…}                       server, first: Engine.IO open
    text    40                                                server, second: namespace connected
    text    451-["frame",{"_placeholder":true,"num":0}]       both: a frame, its header part …
    binary  04 + Frame                                        … and its data part, right behind it
    text    42["frame",[8,0,16,…]]                            both, rare: a frame as a JSON array of byte values
    text    2 / 3                                             client pings, server answers
    text    41                                                both: good-bye
    text    1                                                 Engine.IO close

    4 type [attachments "-"] [namespace ","] [acknowledgement id] [JSON]      a Socket.IO packet in full

Unknown events, packets and namespaces are skipped with their attachments; what cannot be parsed is a violation.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from lanying.base import jsons
from lanying.base.limits import MAX_MESSAGE_BYTES, PING_INTERVAL_MS, PING_TIMEOUT_MS
from lanying.protocol.websocket import (
    BINARY,
    NORMAL_CLOSURE,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    UNSUPPORTED_DATA,
    Role,
    WebSocket,
    apply_mask,
    binary_header,
    close_frame,
    encode_frame,
)

SOCKETIO: Final = 1
XSYNC: Final = 2

MAX_ATTACHMENTS: Final = 16
"""Attachments of one Socket.IO event. A frame has one; more only shows that a client is something else."""

_EVENT = "frame"
_HEADER_TEXT = b'451-["frame",{"_placeholder":true,"num":0}]'
_HEADER_FRAME = encode_frame(TEXT, _HEADER_TEXT)
_ATTACHMENT = b"\x04"
"""Engine.IO packet type "message" of a binary WebSocket message."""
_MASKED_HEADER_START = bytes((0x80 | TEXT, 0x80 | len(_HEADER_TEXT)))
_TEXT_AT = 6
_TEXT_END = _TEXT_AT + len(_HEADER_TEXT)

_PACKET = re.compile(rb"4(\d)(?:(\d{1,5})-)?(?:(/[^,]*)(?:,|$))?(\d{1,20})?(.*)", re.DOTALL)
_CONNECT, _DISCONNECT, _EVENT_TEXT, _EVENT_BINARY, _ACK_BINARY = b"0", b"1", b"2", b"5", b"6"


class Connection(WebSocket):
    """A WebSocket whose messages are read as frames: one end of a client connection after its handshake.

    A connection moves to another process between two frames: ``Connection(kind)`` there, fed with :attr:`unread` from
    here, equals this one, provided :meth:`next_frame` has just returned a frame (it reads nothing beyond that frame,
    and then neither a Socket.IO attachment nor a WebSocket fragment is pending) and :meth:`take_replies` was sent.

    :ivar kind: ``SOCKETIO`` or ``XSYNC``
    :ivar opened: client role: the server said that frames may be sent
    :ivar left: the peer said good-bye (Socket.IO ``41``, Engine.IO ``1`` or a close frame) or broke the protocol: no frame will follow
    :ivar ping_interval_ms: client role: how often the server wants :meth:`ping`
    """

    __slots__ = ("_attachments", "_awaited", "_index", "kind", "left", "opened", "ping_interval_ms")

    def __init__(self, kind: int, role: Role = "server", max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        super().__init__(role, max_message_bytes)
        self.kind = kind
        self.opened = role == "server" or kind == XSYNC
        self.ping_interval_ms = PING_INTERVAL_MS
        self.left = False
        # Socket.IO attachments still to come, those kept, and which of them is the frame (-1: skip all).
        self._awaited = 0
        self._attachments: list[bytes] | None = None
        self._index = 0

    # --- out ---------------------------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """What the server sends right behind its 101; empty for ``XSYNC`` and for a client."""
        if self.kind == XSYNC or self.role == "client":
            return b""
        handshake = {
            "sid": secrets.token_urlsafe(15),
            "upgrades": [],
            "pingInterval": PING_INTERVAL_MS,
            "pingTimeout": PING_TIMEOUT_MS,
        }
        return encode_frame(TEXT, b"0" + msgspec.json.encode(handshake)) + encode_frame(TEXT, b"40")

    def ping(self) -> bytes:
        """The client's keep-alive: Engine.IO ping, or a WebSocket ping for ``XSYNC``."""
        if self.kind == SOCKETIO:
            return encode_frame(TEXT, b"2", self.role == "client")
        return encode_frame(PING, b"", self.role == "client")

    # --- in ----------------------------------------------------------------------------------------------------

    def _discard(self) -> None:
        super()._discard()
        self.left = True

    def receive(self, data: bytes) -> list[bytes]:
        """:meth:`feed` and every frame that is complete now.

        :raises ProtocolError: also when frames preceded the violation in the same ``data``; those are lost, which is
            the same to the peer as a connection that broke a moment earlier: nothing was acknowledged
        """
        frames: list[bytes] = []
        at = 0
        size = len(data)
        # The common case without a needless step: nothing left over, whole frames as the SDKs write them. What is not exactly that leaves
        # the loop with ``at`` at the beginning of a WebSocket frame (on SOCKETIO: of a header part), for feed() to judge: nothing is
        # refused here, so each rule of the protocol is in one place.
        if not (self._buffer or self._awaited or self._opcode or self.left) and self._mask_bit:
            socketio = self.kind == SOCKETIO
            limit = self._limit
            while at < size:
                # ``data[:at]`` is in ``frames``; no attachment and no fragment is pending.
                head = at
                if socketio:
                    # A masked text frame with the one text that announces a frame, then the binary one.
                    if (
                        size < at + _TEXT_END
                        or data[at : at + 2] != _MASKED_HEADER_START
                        or apply_mask(data[at + _TEXT_AT : at + _TEXT_END], data[at + 2 : at + 6]) != _HEADER_TEXT
                    ):
                        break
                    head += _TEXT_END
                if size < head + 2 or data[head] != 0x82:  # FIN and BINARY (RFC 6455 5.2)
                    break
                length = data[head + 1] - 0x80  # below 0: not masked
                start = head + 6
                if length == 126:
                    start = head + 8
                    length = int.from_bytes(data[head + 2 : head + 4], "big")
                elif not 0 <= length < 126:  # 127: eight bytes of length, which no frame needs
                    break
                end = start + length
                if (
                    end > size or length > limit
                ):  # the two bytes of a length may be beyond ``size`` too: then so is ``end``
                    break
                frame = apply_mask(data[start:end], data[start - 4 : start])
                if socketio:
                    if frame[:1] != _ATTACHMENT:
                        break
                    frame = frame[1:]
                frames.append(frame)
                at = end
            if at == size:
                return frames
        # What is left is a piece of a frame, or one that is rare: the buffer takes it from its beginning.
        self.feed(data[at:] if at else data)
        while (next_frame := self.next_frame()) is not None:
            frames.append(next_frame)
        return frames

    def next_frame(self) -> bytes | None:
        """The next complete Frame (protobuf bytes), or None: feed more, or see :attr:`left`.

        :raises ProtocolError: 1002, 1003 (text on ``XSYNC``), 1007, 1009
        """
        while not self.left and (message := self.next_message()) is not None:
            opcode, payload = message
            if self.kind == XSYNC:
                if opcode == TEXT:
                    raise self._fail(UNSUPPORTED_DATA, "frames are binary messages")
                return payload
            frame = self._attached(payload) if opcode == BINARY else self._packet(payload)
            if frame is not None:
                return frame
        return None

    def _packet(self, text: bytes) -> bytes | None:
        """A text message: an Engine.IO packet. Returns the frame it carries, if it is complete."""
        if text == _HEADER_TEXT and not self._awaited:
            self._expect(1, 0)
            return None
        kind = text[:1]
        if kind == b"4":
            return self._event(text)
        if kind == b"2":
            self.reply(TEXT, b"3" + text[1:])
        elif kind == b"1":
            self.left = True
        elif kind == b"0" and self.role == "client":
            self._open(text)
        # 3 pong, 5 upgrade, 6 noop and what a later revision may add need no answer.
        return None

    def _open(self, text: bytes) -> None:
        """Client role: Engine.IO open, ``0{"sid":…,"pingInterval":…}``."""
        fields = self._json(text[1:])
        interval = fields.get("pingInterval") if isinstance(fields, dict) else None
        if type(interval) is not int or interval <= 0:
            raise self._fail(PROTOCOL_ERROR, "malformed Engine.IO open packet")
        self.ping_interval_ms = interval

    def _event(self, text: bytes) -> bytes | None:
        """A Socket.IO packet."""
        if self._awaited:
            raise self._fail(PROTOCOL_ERROR, "attachment expected")
        match = _PACKET.fullmatch(text)
        if match is None:
            raise self._fail(PROTOCOL_ERROR, "malformed Socket.IO packet")
        kind, count_text, namespace, _, body = match.groups()
        root = namespace is None or namespace.partition(b"?")[0] == b"/"
        if kind in (_EVENT_BINARY, _ACK_BINARY):
            if count_text is None:
                raise self._fail(PROTOCOL_ERROR, "binary packet without attachment count")
            count = int(count_text)
            if count > MAX_ATTACHMENTS:
                raise self._fail(PROTOCOL_ERROR, f"more than {MAX_ATTACHMENTS} attachments")
        else:
            count = 0
        if kind in (_EVENT_TEXT, _EVENT_BINARY):
            arguments = self._json(body)
            if not isinstance(arguments, list) or not arguments:
                raise self._fail(PROTOCOL_ERROR, "malformed Socket.IO event")
            if root and arguments[0] == _EVENT:
                return self._frame_event(arguments, count)
        elif kind == _DISCONNECT and root:
            self.left = True
        elif kind == _CONNECT and root:
            self.opened = True
        self._expect(count, -1)
        return None

    def _frame_event(self, arguments: list[object], count: int) -> bytes | None:
        """The event ``frame``: its first argument is a placeholder for an attachment, or a list of byte values."""
        value = arguments[1] if len(arguments) > 1 else None
        if isinstance(value, list):
            try:
                frame = bytes(value)
            except (TypeError, ValueError):
                raise self._fail(PROTOCOL_ERROR, "byte values expected") from None
            self._expect(count, -1)
            return frame
        if isinstance(value, dict) and value.get("_placeholder") is True:
            index = value.get("num")
            if type(index) is int and 0 <= index < count:
                self._expect(count, index)
                return None
        raise self._fail(PROTOCOL_ERROR, "malformed frame event")

    def _json(self, text: bytes) -> object:
        try:
            value: object = jsons.read(text)
        except ValueError:
            raise self._fail(PROTOCOL_ERROR, "malformed JSON") from None
        return value

    def _expect(self, count: int, index: int) -> None:
        """Await ``count`` attachments; number ``index`` is a frame (-1: none is)."""
        self._awaited = count
        self._index = index
        self._attachments = None

    def _attached(self, payload: bytes) -> bytes | None:
        """A binary message: an attachment. Returns the frame when it was the last one of its event."""
        if not self._awaited:
            raise self._fail(PROTOCOL_ERROR, "attachment without event")
        if payload[:1] != _ATTACHMENT:
            raise self._fail(PROTOCOL_ERROR, "binary packet that is not a message")
        self._awaited -= 1
        # Only the frame itself is kept while later attachments are awaited.
        if self._index == 0:
            self._attachments = [payload[1:]]
        self._index -= 1
        if self._awaited or self._attachments is None:
            return None
        frame = self._attachments[0]
        self._attachments = None
        return frame


# --- out: server ------------------------------------------------------------------------------------------------


def wrap_socketio(frame: bytes) -> bytes:
    """A Frame as the server sends it on ``SOCKETIO``: header part and data part."""
    length = len(frame) + 1
    if length < 126:
        return _SOCKETIO_SMALL[length] + frame
    return b"%b%b\x04%b" % (_HEADER_FRAME, binary_header(length), frame)


def wrap_xsync(frame: bytes) -> bytes:
    """A Frame as the server sends it on ``XSYNC``."""
    length = len(frame)
    if length < 126:
        return _XSYNC_SMALL[length] + frame
    return binary_header(length) + frame


_XSYNC_SMALL: Final = tuple(binary_header(length) for length in range(126))
_SOCKETIO_SMALL: Final = tuple(_HEADER_FRAME + binary_header(length) + _ATTACHMENT for length in range(126))

WRAPPERS: Final[dict[int, Callable[[bytes], bytes]]] = {SOCKETIO: wrap_socketio, XSYNC: wrap_xsync}
"""The wrap function of each kind, to be looked up once per session."""


def wrap(kind: int, frame: bytes) -> bytes:
    """A Frame as the server sends it on a connection of this kind."""
    return wrap_socketio(frame) if kind == SOCKETIO else wrap_xsync(frame)


def goodbye(kind: int, code: int = NORMAL_CLOSURE, reason: str = "", mask: bool = False) -> bytes:
    """Leave for good: the Socket.IO manager of a page does not reconnect after ``41`` (xsync 5.7). For
    a close after which it may, send :func:`~lanying.protocol.websocket.close_frame` alone."""
    text = encode_frame(TEXT, b"41", mask) if kind == SOCKETIO else b""
    return text + close_frame(code, reason, mask)


# --- out: client ------------------------------------------------------------------------------------------------


def wrap_client(kind: int, frame: bytes, key: bytes | None = None) -> bytes:
    """A Frame as a client sends it. ``key``: masking key of 4 bytes for a load generator; random without."""
    if kind == XSYNC:
        return encode_frame(BINARY, frame, True, key)
    return encode_frame(TEXT, _HEADER_TEXT, True, key) + encode_frame(BINARY, _ATTACHMENT + frame, True, key)
