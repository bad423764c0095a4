"""The Frame around every payload (xsync 4.3 and 5): a parser, and builders that splice bytes.

Nothing here builds a protobuf object for output. A frame of the server is ``18 command 22 length payload``, a payload is
a few constant bytes around varints, and splicing costs a quarter of what serializing does (measured). Field order and
explicit zeros are those of the vectors in tests/protocol/wire_vectors.json, which the web SDK is known to accept.

The web client writes every field it sets, also zeros: its frames start ``08 00 10 00 18 command``.

Over 400 lines: builders of both ends splice from the same few constants.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError

from lanying.base.errors import LanyingError
from lanying.base.limits import MAX_INFLATED_BYTES
from lanying.protocol.schema import xsync_pb2 as pb

STATUS_NAMES: Final = {int(number): name for name, number in pb.Status.ErrorCode.items()}
"""For figures and logs."""

UNREAD: Final = 0
SYNC: Final = 1
NOTICE: Final = 2
PROVISION: Final = 3

OK: Final = 1
FAIL: Final = 2

WEB: Final = 6
"""Provision.OsType of the web SDK."""
USER_NOTICE: Final = 4
"""Meta.NameSpace of :func:`user_notice`."""


class FrameError(LanyingError):
    """A frame that cannot be served; the connection stays open and the client gets a refusal.

    :ivar status_code: Status.ErrorCode for the client
    :ivar reason: text for the client
    """

    def __init__(self, status_code: int, reason: str) -> None:
        super().__init__(f"{status_code} {reason}")
        self.status_code = status_code
        self.reason = reason


# --- in --------------------------------------------------------------------------------------------------------

_WEB_START = b"\x08\x00\x10\x00\x18"
_PAYLOAD_TAG = 0x22


def parse_frame(data: bytes, inflates: bool = True) -> tuple[int, bytes]:
    """``(command, payload)`` of a Frame. The command is not checked: an unknown one is the caller's to refuse.

    :param inflates: False: compressed frames are refused, for strangers
    :raises FrameError: PB_PARSER_ERROR not a Frame, not inflatable or larger than ``MAX_INFLATED_BYTES`` inflated;
        ENCRYPT_METHOD_UNSUPPORTED
    """
    # The layouts of the web client and of our own builders are read without protobuf: one-byte command, payload last.
    at = 5 if data[:5] == _WEB_START else 1 if data[:1] == b"\x18" else 0
    behind = len(data) - at - 3  # the command, the tag and one byte of length
    if at and behind >= 0 and (command := data[at]) < 128 and data[at + 1] == _PAYLOAD_TAG:
        length = data[at + 2]
        if length < 128:
            if length == behind:
                return command, data[at + 3 :]
        elif behind and (more := data[at + 3]) < 128 and length - 127 + (more << 7) == behind:
            return command, data[at + 4 :]
    elif at and behind == -2 and data[at] < 128:
        return data[at], b""
    return _parse_any(data, inflates)


def _parse_any(data: bytes, inflates: bool) -> tuple[int, bytes]:
    try:
        frame = pb.Frame.FromString(data)
    except DecodeError:
        raise FrameError(pb.Status.PB_PARSER_ERROR, "not a frame") from None
    if frame.encrypt_method:
        raise FrameError(pb.Status.ENCRYPT_METHOD_UNSUPPORTED, "frames are sent plain, inside TLS")
    if frame.compress_method == pb.Frame.NONE:
        return frame.command, frame.payload
    if not inflates:
        raise FrameError(pb.Status.PB_PARSER_ERROR, "frames up to the login are sent plain")
    if frame.compress_method == pb.Frame.ZLIB:
        return frame.command, _inflate(frame.payload)
    raise FrameError(pb.Status.PB_PARSER_ERROR, "unknown compression")


def _inflate(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(payload, MAX_INFLATED_BYTES + 1)
    except zlib.error:
        raise FrameError(pb.Status.PB_PARSER_ERROR, "not a zlib stream") from None
    if len(plain) > MAX_INFLATED_BYTES:
        raise FrameError(pb.Status.PB_PARSER_ERROR, f"over {MAX_INFLATED_BYTES} bytes inflated")
    if not inflater.eof:
        raise FrameError(pb.Status.PB_PARSER_ERROR, "truncated zlib stream")
    return plain


# --- varints ---------------------------------------------------------------------------------------------------


# Seven bits a byte, lowest first, bit 7 set in all but the last. Two bytes at a time: entry ``g`` is a 14-bit group as
# the little-endian number of its two bytes with both continuation bits set; ``_LAST`` clears the upper one. 32 KB in all.
_GROUPS = array("H", [group & 127 | 128 | (group >> 7 | 128) << 8 for group in range(1 << 14)])
_GROUP = 0x3FFF
_LAST = 0x7FFF
_ONE_BYTE: Final = tuple(bytes((n,)) for n in range(128))
_pack2 = struct.Struct("<H").pack
_pack3 = struct.Struct("<HB").pack
_pack4 = struct.Struct("<HH").pack
_pack5 = struct.Struct("<HHB").pack
_pack6 = struct.Struct("<HHH").pack
_pack7 = struct.Struct("<HHHB").pack
_pack8 = struct.Struct("<HHHH").pack


def varint(n: int) -> bytes:
    """Protobuf varint of ``0 <= n < 2**64``."""
    if n < 1 << 7:
        assert n >= 0
        return _ONE_BYTE[n]
    if n < 1 << 14:
        return _pack2(_GROUPS[n] & _LAST)
    if n < 1 << 35:
        return _varint_3_to_5(n)
    # Times in milliseconds take six bytes until 2109, message ids seven until 2028.
    if n < 1 << 42:
        return _pack6(_GROUPS[n & _GROUP], _GROUPS[n >> 14 & _GROUP], _GROUPS[n >> 28] & _LAST)
    if n < 1 << 49:
        return _pack7(_GROUPS[n & _GROUP], _GROUPS[n >> 14 & _GROUP], _GROUPS[n >> 28 & _GROUP], n >> 42)
    if n < 1 << 56:
        return _pack8(
            _GROUPS[n & _GROUP], _GROUPS[n >> 14 & _GROUP], _GROUPS[n >> 28 & _GROUP], _GROUPS[n >> 42] & _LAST
        )
    assert n < 1 << 64
    low = _pack8(_GROUPS[n & _GROUP], _GROUPS[n >> 14 & _GROUP], _GROUPS[n >> 28 & _GROUP], _GROUPS[n >> 42 & _GROUP])
    return low + varint(n >> 56)


def _varint_3_to_5(n: int) -> bytes:
    if n < 1 << 21:
        return _pack3(_GROUPS[n & _GROUP], n >> 14)
    if n < 1 << 28:
        return _pack4(_GROUPS[n & _GROUP], _GROUPS[n >> 14] & _LAST)
    return _pack5(_GROUPS[n & _GROUP], _GROUPS[n >> 14 & _GROUP], n >> 28)


@lru_cache(64)
def _time(tag: bytes, time_ms: int) -> bytes:
    """A field with the present time: the same for all messages of a tick."""
    return tag + varint(time_ms)


# --- out: pieces ------------------------------------------------------------------------------------------------

_SMALL = 128
"""Lengths below this are one byte, looked up in these tables of complete frame headers."""
_SYNC_SMALL: Final = tuple(bytes((0x18, SYNC, _PAYLOAD_TAG, length)) for length in range(_SMALL))
_METAS_SMALL: Final = tuple(bytes((0x12, length)) for length in range(_SMALL))
_STATUS_OK: Final = b"\x0a\x02\x08\x01"
_pack_acknowledgement = struct.Struct("<9sHHHcHHHB7s").pack


def _frame(command: int, payload: bytes) -> bytes:
    return b"\x18%c\x22%b%b" % (command, varint(len(payload)), payload)


def _delimited(tag: bytes, value: bytes) -> bytes:
    return tag + varint(len(value)) + value


def _xid(tag: bytes, uid: int, sn: int | None = None) -> bytes:
    """An XID with an explicit uid, and a deviceSN unless None."""
    return _delimited(tag, b"\x08" + varint(uid) + (b"" if sn is None else b"\x10" + varint(sn)))


@lru_cache(4096)
def _endpoints(from_uid: int, from_sn: int, to_uid: int) -> bytes:
    """``from`` and ``to`` of a Meta: the same for all messages of one device to one peer."""
    return _xid(b"\x12", from_uid, from_sn or None) + _xid(b"\x1a", to_uid)


@lru_cache(4096)
def _queue(uid: int) -> bytes:
    """SyncDL.xid; empty for the system conversation, as the vectors have it."""
    return _xid(b"\x22", uid) if uid else b"\x22\x00"


def _status(code: int, reason: str) -> bytes:
    body = b"\x08" + varint(code)
    if reason:
        body += _delimited(b"\x12", reason.encode())
    return _delimited(b"\x0a", body)


# --- out: server ------------------------------------------------------------------------------------------------


def sync_frame(payload: bytes) -> bytes:
    """A SYNC Frame around an encoded SyncDL."""
    length = len(payload)
    if length < _SMALL:
        return _SYNC_SMALL[length] + payload
    return b"\x18\x01\x22" + varint(length) + payload


def acknowledgement(client_mid: int, server_mid: int, server_time: int, edit_timestamp: int = 0) -> bytes:
    """Answer to a message that was taken (section 5.6). Times in milliseconds; the last one for APPEND and REPLACE."""
    time = _time(b"\x38", server_time)
    # A client mid is a clock reading (six bytes) unless it belongs to an operation, and so is the time.
    if 1 << 35 <= client_mid < 1 << 42 <= server_mid < 1 << 49 and len(time) == 7 and not edit_timestamp:
        return _pack_acknowledgement(
            b"\x18\x01\x22\x1a\x0a\x02\x08\x01\x28",
            _GROUPS[client_mid & _GROUP],
            _GROUPS[client_mid >> 14 & _GROUP],
            _GROUPS[client_mid >> 28] & _LAST,
            b"\x30",
            _GROUPS[server_mid & _GROUP],
            _GROUPS[server_mid >> 14 & _GROUP],
            _GROUPS[server_mid >> 28 & _GROUP],
            server_mid >> 42,
            time,
        )
    payload = b"\x0a\x02\x08\x01\x28%b\x30%b%b" % (varint(client_mid), varint(server_mid), time)
    if edit_timestamp:
        payload += b"\x58" + varint(edit_timestamp)
    return _SYNC_SMALL[len(payload)] + payload


def refusal(client_mid: int, code: int, reason: str) -> bytes:
    """Answer to a message that was not taken (Status.ErrorCode and text). With ``client_mid`` 0 it is a general error,
    and names the system conversation because the web SDK expects an xid in everything that acknowledges no message."""
    return sync_frame(_status(code, reason) + (b"\x28" + varint(client_mid) if client_mid else b"\x22\x00"))


def meta(mid: int, from_uid: int, from_sn: int, to_uid: int, timestamp: int, ns: int, payload: bytes) -> bytes:
    """An encoded Meta, the payload last. ``from`` and ``to`` are there for uid 0 too; SN 0 is left out. ``timestamp``
    in milliseconds."""
    assert ns < 128
    return b"\x08%b%b%b\x28%c\x32%b%b" % (
        varint(mid),
        _endpoints(from_uid, from_sn, to_uid),
        _time(b"\x20", timestamp),
        ns,
        varint(len(payload)),
        payload,
    )


def meta_id(stored: bytes) -> int:
    """Id of an encoded Meta; 0 for what cannot be read, which counts as older than everything."""
    try:
        return int(pb.Meta.FromString(stored).id)
    except DecodeError:
        return 0


def batch(
    xid_uid: int,
    metas: Sequence[bytes],
    next_key: int = 0,
    *,
    full: bool = False,
    eager: bool = False,
    prev_mid: int = 0,
) -> bytes:
    """A SyncDL with encoded Metas of the queue ``xid_uid``; without metas it ends a pull (section 5.3).

    :param next_key: what the client shall acknowledge; 0 for nothing
    :param full: a history page (section 5.9)
    :param eager: a push nobody asked for, behind ``prev_mid`` (section 5.5)
    """
    parts = [_STATUS_OK]
    for one in metas:
        length = len(one)
        parts.append(_METAS_SMALL[length] if length < _SMALL else b"\x12" + varint(length))
        parts.append(one)
    if next_key:
        parts.append(b"\x18" + varint(next_key))
    parts.append(_queue(xid_uid))
    if full:
        parts.append(b"\x40\x01")
    if prev_mid:
        parts.append(b"\x48" + varint(prev_mid))
    if eager:
        parts.append(b"\x50\x01")
    payload = b"".join(parts)
    length = len(payload)
    if length < _SMALL:
        return _SYNC_SMALL[length] + payload
    return b"\x18\x01\x22" + varint(length) + payload


def notice(uid: int) -> bytes:
    """Something new in the queue ``uid``. Never with a deviceSN: the web SDK would misread it (section 5.4)."""
    return _frame(NOTICE, _xid(b"\x0a", uid) if uid else b"\x0a\x00")


def unread_list(entries: Iterable[tuple[int, int, int]]) -> bytes:
    """UnreadDL of ``(uid, n, type)``: ``n`` entries this device has to sync, ConversationUnread.ConvType (5.2)."""
    parts = [_STATUS_OK]
    for uid, n, conversation_type in entries:
        xid = _xid(b"\x0a", uid) if uid else b"\x0a\x00"
        parts.append(_delimited(b"\x12", xid + b"\x10" + varint(n) + b"\x18" + varint(conversation_type)))
    return _frame(UNREAD, b"".join(parts))


def provision_ok(uid: int, sn: int) -> bytes:
    """Logged in, as device ``sn`` (section 5.1)."""
    return _frame(PROVISION, _STATUS_OK + _xid(b"\x12", uid, sn))


def provision_refused(code: int, reason: str, uid: int = 0) -> bytes:
    """Not logged in: Status.ErrorCode and text."""
    return _frame(PROVISION, _status(code, reason) + (_xid(b"\x12", uid, 0) if uid else b""))


def user_notice(mid: int, uid: int, timestamp: int, notice_type: int, content: str = "") -> bytes:
    """A UserNotice (kick and the like, section 5.7) straight to a connection of ``uid``: no key to acknowledge.

    :param notice_type: UserNotice.Type, never 0: that logs the page out
    """
    assert notice_type
    payload = b"\x08" + varint(notice_type)
    if content:
        payload += _delimited(b"\x12", content.encode())
    return batch(0, [meta(mid, 0, 0, uid, timestamp, USER_NOTICE, payload)])


# --- out: client ------------------------------------------------------------------------------------------------


def _web_frame(command: int, payload: bytes) -> bytes:
    return b"\x08\x00\x10\x00" + _frame(command, payload)


def provision(
    uid: int,
    token: str,
    guid: str,
    info: str = "",
    os_type: int = WEB,
    *,
    sn: int = 0,
    sdk_vsn: str = "2.0.0",
) -> bytes:
    """Login (section 5.1). ``guid`` names the device for good, ``sn`` is the one an earlier login was answered with."""
    return _web_frame(
        PROVISION,
        _xid(b"\x12", uid, sn)
        + _delimited(b"\x32", token.encode())
        + b"\x38"
        + varint(os_type)
        + _delimited(b"\x42", sdk_vsn.encode())
        + _delimited(b"\x52", guid.encode())
        + _delimited(b"\x6a", info.encode()),
    )


def unread_request() -> bytes:
    """The heartbeat: which conversations have something for this device? (section 5.2)"""
    return b"\x08\x00\x10\x00\x18\x00"


def sync_pull(uid: int, key: int | None = None) -> bytes:
    """Ask for the queue ``uid``; ``key``: acknowledge everything up to it first (section 5.3)."""
    return _web_frame(SYNC, _xid(b"\x0a", uid) + (b"" if key is None else b"\x10" + varint(key)))


def history_request(uid: int, key: int, amount: int) -> bytes:
    """Ask for ``amount`` messages before mid ``key``, 0 for the newest (section 5.9)."""
    return _web_frame(
        SYNC,
        _xid(b"\x0a", uid, 0) + b"\x10" + varint(key) + b"\x20\x01\x28" + varint(amount << 1),  # zigzag
    )


def send_meta(
    client_mid: int,
    from_uid: int,
    from_sn: int,
    to_uid: int | None,
    timestamp: int,
    ns: int,
    payload: bytes,
    *,
    to_sn: int = 0,
) -> bytes:
    """Send a message or an operation (section 5.6).

    :param to_uid: None leaves ``to`` out (conversation operations)
    :param timestamp: milliseconds; 0 leaves it out (operations)
    :param payload: encoded MessageBody, Conversation or RtcSignal, by ``ns``
    """
    head = b"\x08" + varint(client_mid) + _xid(b"\x12", from_uid, from_sn)
    if to_uid is not None:
        head += _xid(b"\x1a", to_uid, to_sn)
    if timestamp:
        head += b"\x20" + varint(timestamp)
    return _web_frame(SYNC, _delimited(b"\x1a", head + b"\x28" + varint(ns) + _delimited(b"\x32", payload)))
