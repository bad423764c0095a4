"""The cases of the Autobahn WebSocket test suite, sections 1 to 7, 9 (short) and 10, against the sans-IO core.

The suite itself needs Python 2. Case numbers are Autobahn's; where one case there is a family here, a letter or the bytes are
appended. Each case is fed as one piece, byte by byte and in pieces of seven: the outcome has to be the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from lanying.base.errors import ProtocolError
from lanying.protocol.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket

KEY = b"\x37\xfa\x21\x3d"
KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """One frame, independent of the encoder under test."""
    size = len(payload)
    out = bytearray([fin << 7 | rsv << 4 | opcode])
    bit = 128 if masked else 0
    if size < 126:
        out.append(bit | size)
    elif size < 65536:
        out.append(bit | 126)
        out += size.to_bytes(2, "big")
    else:
        out.append(bit | 127)
        out += size.to_bytes(8, "big")
    if masked:
        out += KEY
        payload = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    return bytes(out) + payload


def fragments(opcode: int, pieces: list[bytes]) -> list[bytes]:
    """A fragmented message."""
    last = len(pieces) - 1
    return [frame(CONTINUATION if i else opcode, piece, fin=i == last) for i, piece in enumerate(pieces)]


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass
class Outcome:
    """What a connection came to: messages, frames sent back, and how it ended (0 open, else the code)."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    replies: list[tuple[int, bytes]] = field(default_factory=list)
    error: int = 0
    closed: int = 0


def parse_replies(data: bytes) -> list[tuple[int, bytes]]:
    """Small unmasked frames."""
    out = []
    while data:
        assert data[0] & 0x80 and data[1] <= 125
        end = 2 + data[1]
        out.append((data[0] & 15, data[2:end]))
        data = data[end:]
    return out


def drive(pieces: list[bytes], limit: int = 1 << 20) -> Outcome:
    socket = WebSocket("server", limit)
    outcome = Outcome()
    replies = b""
    try:
        for piece in pieces:
            socket.feed(piece)
            while (message := socket.next_message()) is not None:
                outcome.messages.append(message)
            replies += socket.take_replies()
    except ProtocolError as error:
        outcome.error = error.close_code
        assert socket.closed and socket.close_code == error.close_code
        replies += socket.take_replies()
    else:
        outcome.closed = socket.close_code
        assert socket.closed == bool(socket.close_code)
    outcome.replies = parse_replies(replies)
    return outcome


CASES: dict[str, tuple[list[bytes], Outcome]] = {}


def case(
    number: str,
    sent: list[bytes],
    messages: list[tuple[int, bytes]] | None = None,
    replies: list[tuple[int, bytes]] | None = None,
    error: int = 0,
    closed: int = 0,
) -> None:
    assert number not in CASES, number
    CASES[number] = sent, Outcome(messages or [], replies or [], error, closed)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


# --- 1 framing ---------------------------------------------------------------------------------------------------
for _n, _size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
    case(f"1.1.{_n}", [frame(TEXT, b"*" * _size)], [(TEXT, b"*" * _size)])
    case(f"1.2.{_n}", [frame(BINARY, b"\xfe" * _size)], [(BINARY, b"\xfe" * _size)])
case("1.1.8", chopped(frame(TEXT, b"*" * 65536), 997), [(TEXT, b"*" * 65536)])
case("1.2.8", chopped(frame(BINARY, b"\xfe" * 65536), 997), [(BINARY, b"\xfe" * 65536)])

# --- 2 pings and pongs -------------------------------------------------------------------------------------------
case("2.1", [frame(PING)], replies=[(PONG, b"")])
case("2.2", [frame(PING, b"Hello, world!")], replies=[(PONG, b"Hello, world!")])
case("2.3", [frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], replies=[(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")])
case("2.4", [frame(PING, b"\xfe" * 125)], replies=[(PONG, b"\xfe" * 125)])
case("2.5", [frame(PING, b"\xfe" * 126)], error=1002)
case("2.6", chopped(frame(PING, b"\xfe" * 125), 1), replies=[(PONG, b"\xfe" * 125)])
case("2.7", [frame(PONG)])
case("2.8", [frame(PONG, b"unsolicited")])
case("2.9", [frame(PONG, b"unsolicited"), frame(PING, b"payload")], replies=[(PONG, b"payload")])
_pings = [b"payload-%d" % i for i in range(10)]
case("2.10", [frame(PING, p) for p in _pings], replies=[(PONG, p) for p in _pings])
case("2.11", chopped(b"".join(frame(PING, p) for p in _pings), 1), replies=[(PONG, p) for p in _pings])

# --- 3 reserved bits ---------------------------------------------------------------------------------------------
_small = (TEXT, b"Hello, world!")
case("3.1", [frame(TEXT, b"Hello, world!", rsv=1)], error=1002)
for _rsv in (2, 3, 4):
    case(f"3.{_rsv}", [frame(*_small), frame(TEXT, b"x", rsv=_rsv), frame(PING)], [_small], error=1002)
case("3.5", [frame(BINARY, b"\x00\xff", rsv=5)], error=1002)
case("3.6", [frame(PING, b"x", rsv=6)], error=1002)
case("3.7", [frame(CLOSE, b"", rsv=7)], error=1002)

# --- 4 reserved opcodes ------------------------------------------------------------------------------------------
for _section, _first in ((1, 3), (2, 11)):
    case(f"4.{_section}.1", [frame(_first)], error=1002)
    case(f"4.{_section}.2", [frame(_first + 1, b"reserved opcode payload")], error=1002)
    for _n in (3, 4, 5):
        case(f"4.{_section}.{_n}", [frame(*_small), frame(_first + _n - 1, b"x"), frame(PING)], [_small], error=1002)

# --- 5 fragmentation ---------------------------------------------------------------------------------------------
_two = fragments(TEXT, [b"fragment1", b"fragment2"])
_both = (TEXT, b"fragment1fragment2")
case("5.1", fragments(PING, [b"fragment1", b"fragment2"]), error=1002)
case("5.2", fragments(PONG, [b"fragment1", b"fragment2"]), error=1002)
case("5.3", _two, [_both])
case("5.4", [*chopped(_two[0], 1), _two[1]], [_both])
case("5.5", chopped(b"".join(_two), 1), [_both])
case("5.6", [_two[0], frame(PING, b"p"), _two[1]], [_both], [(PONG, b"p")])
case("5.7", [_two[0] + frame(PING, b"p"), _two[1]], [_both], [(PONG, b"p")])
case("5.8", chopped(_two[0] + frame(PING, b"p") + _two[1], 1), [_both], [(PONG, b"p")])
for _n, _fin in enumerate((True, True, True, False, False, False), 9):
    case(f"5.{_n}", [frame(CONTINUATION, b"non-continuation payload", _fin), frame(*_small)], error=1002)
case("5.15", [*_two, frame(CONTINUATION, b"x", False), frame(*_small)], [_both], error=1002)
for _n, _fin in ((16, False), (17, True)):
    case(f"5.{_n}", [frame(CONTINUATION, b"fragment1", _fin), *_two] * 2, error=1002)
case("5.18", [frame(TEXT, b"fragment1", False), frame(TEXT, b"fragment2")], error=1002)
_five = fragments(TEXT, [b"fragment%d" % i for i in range(1, 6)])
_pinged = [*_five[:2], frame(PING, b"1"), *_five[2:4], frame(PING, b"2"), _five[4]]
for _n, _pieces in ((19, _pinged), (20, chopped(b"".join(_pinged), 1))):
    case(f"5.{_n}", _pieces, [(TEXT, b"fragment1fragment2fragment3fragment4fragment5")], [(PONG, b"1"), (PONG, b"2")])

# --- 6 UTF-8 -----------------------------------------------------------------------------------------------------
_utf8 = "Hello-µ@ßöäüàá-UTF-8!!".encode()
case("6.1.1", [frame(TEXT)], [(TEXT, b"")])
case("6.1.2", fragments(TEXT, [b"", b"", b""]), [(TEXT, b"")])
case("6.1.3", fragments(TEXT, [b"", b"middle frame payload", b""]), [(TEXT, b"middle frame payload")])
case("6.2.1", [frame(TEXT, _utf8)], [(TEXT, _utf8)])
case("6.2.2", fragments(TEXT, [_utf8[:12], _utf8[12:]]), [(TEXT, _utf8)])
case("6.2.3", fragments(TEXT, chopped(_utf8, 1)), [(TEXT, _utf8)])
case("6.2.4", fragments(TEXT, chopped(KOSME, 1)), [(TEXT, KOSME)])
_bad = KOSME + b"\xed\xa0\x80" + b"edited"
case("6.3.1", [frame(TEXT, _bad)], error=1007)
case("6.3.2", fragments(TEXT, chopped(_bad, 1)), error=1007)
# 6.4: the violation shows before the message is complete, here: without its last fragment.
case("6.4.1", fragments(TEXT, [KOSME, b"\xf4\x90\x80\x80", b"edited"])[:2], error=1007)
case("6.4.2", fragments(TEXT, [KOSME + b"\xf4", b"\x90", b"\x80\x80edited"])[:2], error=1007)

_VALID = {
    "6.5": [KOSME.hex(), "cebae1bdb9", "ceba", "e1bdb9", "cebae1bdb9cf83"],
    "6.6": ["ceba", "cebae1bdb9", "cebae1bdb9cf83", "cebae1bdb9cf83cebc", KOSME.hex()],
    "6.7": ["00", "c280", "e0a080", "f0908080"],
    "6.9": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
    "6.11": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"],
    "6.22": ["efbfbe", "efbfbf"]
    + [chr(plane << 16 | 0xFFFE | low).encode().hex() for plane in range(1, 17) for low in (0, 1)],
    "6.23": ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"],
}
_INVALID = {
    "6.6": ["ce", "cebae1", "cebae1bd", "cebae1bdb9cf", "cebae1bdb9cf83ce", "cebae1bdb9cf83cebcce"],
    "6.8": ["f888808080", "fc8480808080"],
    "6.10": ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
    "6.11": ["f4908080"],
    "6.12": ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", bytes(range(0x80, 0xC0)).hex()],
    "6.13": [" ".join(f"{b:02x}20" for b in r) for r in (range(0xC0, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF8))]
    + ["f820f920fa20fb20", "fc20"],
    "6.14": ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"],
    "6.15": ["c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"],
    "6.16": ["fe", "ff", "fefeffff"],
    "6.17": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
    "6.18": ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
    "6.19": ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
    "6.20": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
    "6.21": [h + low for h in ("eda080", "edadbf", "edae80", "edafbf") for low in ("edb080", "edbfbf")],
}
for _number, _texts in _VALID.items():
    for _hex in _texts:
        _raw = bytes.fromhex(_hex)
        case(f"{_number} valid {_hex}", [frame(TEXT, _raw)], [(TEXT, _raw)])
        case(f"{_number} valid {_hex} in fragments", fragments(TEXT, chopped(_raw, 1)), [(TEXT, _raw)])
for _number, _texts in _INVALID.items():
    for _hex in _texts:
        _raw = bytes.fromhex(_hex)
        case(f"{_number} invalid {_hex}", [frame(TEXT, _raw)], error=1007)
        case(f"{_number} invalid {_hex} in fragments", fragments(TEXT, chopped(_raw, 1)), error=1007)

# --- 7 close -----------------------------------------------------------------------------------------------------
_echo = [(CLOSE, b"\x03\xe8")]
case("7.1.1", [frame(*_small), close(1000)], [_small], _echo, closed=1000)
case("7.1.2", [close(1000), close(1000)], [], _echo, closed=1000)
case("7.1.3", [close(1000), frame(PING)], [], _echo, closed=1000)
case("7.1.4", [close(1000), frame(*_small)], [], _echo, closed=1000)
case("7.1.5", [_two[0], close(1000), _two[1]], [], _echo, closed=1000)
case("7.1.6", [frame(TEXT, b"B" * 262144), frame(*_small), close(1000), frame(PING)],
     [(TEXT, b"B" * 262144), _small], _echo, closed=1000)  # fmt: skip
case("7.3.1", [frame(CLOSE)], [], [(CLOSE, b"")], closed=1005)
case("7.3.2", [frame(CLOSE, b"a")], error=1002)
case("7.3.3", [close(1000)], [], _echo, closed=1000)
case("7.3.4", [close(1000, b"Hello World!")], [], _echo, closed=1000)
case("7.3.5", [close(1000, b"*" * 123)], [], _echo, closed=1000)
case("7.3.6", [close(1000, b"*" * 124)], error=1002)
case("7.5.1", [close(1000, _bad)], error=1007)
for _n, _code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1):
    case(f"7.7.{_n}", [close(_code)], [], [(CLOSE, _code.to_bytes(2, "big"))], closed=_code)
for _n, _code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
    case(f"7.9.{_n}", [close(_code)], error=1002)
case("7.13.1", [close(5000)], error=1002)
case("7.13.2", [close(65535)], error=1002)

# --- 9 limits (short), 10 ----------------------------------------------------------------------------------------
_big = b"*" * 262144
case("9.1", [frame(TEXT, _big)], [(TEXT, _big)])
case("9.2", [frame(BINARY, _big)], [(BINARY, _big)])
for _n, _size in enumerate((64, 1024, 65536), 1):
    case(f"9.3.{_n}", fragments(TEXT, chopped(_big, _size)), [(TEXT, _big)])
    case(f"9.4.{_n}", fragments(BINARY, chopped(_big, _size)), [(BINARY, _big)])
for _n, _size in enumerate((64, 256, 2048), 1):
    case(f"9.5.{_n}", chopped(frame(TEXT, _big), _size), [(TEXT, _big)])
case("9.7", [frame(TEXT, b"*" * 64)] * 200, [(TEXT, b"*" * 64)] * 200)
case("9.8", [frame(BINARY, b"\xfe" * 4096)] * 50, [(BINARY, b"\xfe" * 4096)] * 50)
case("10.1.1", fragments(TEXT, chopped(b"*" * 65536, 1300)), [(TEXT, b"*" * 65536)])

# --- ours: rules Autobahn's client mode cannot break ------------------------------------------------------------------
case("ours: not masked", [frame(TEXT, b"x", masked=False)], error=1002)
case("ours: control frame not masked", [frame(PING, b"x", masked=False)], error=1002)
case("ours: length with top bit", [b"\x82\xff" + b"\x80" + bytes(7)], error=1002)
case("ours: header over limit", [b"\x82\xff" + (1 << 20 | 1).to_bytes(8, "big")], error=1009)
case("ours: fragments over limit", [frame(BINARY, bytes(1 << 19), False), frame(CONTINUATION, bytes(1 << 19), False),
     b"\x00\x81"], error=1009)  # fmt: skip
case("ours: control frame with long length", [b"\x89\xfe"], error=1002)
case("ours: length longer than needed", [b"\x82\xfe\x00\x01" + KEY + bytes([KEY[0] ^ 9])], [(BINARY, b"\x09")])


@pytest.mark.parametrize("number", CASES)
def test_as_sent(number: str) -> None:
    sent, expected = CASES[number]
    assert drive(sent) == expected


@pytest.mark.parametrize("number", CASES)
def test_in_one_piece(number: str) -> None:
    sent, expected = CASES[number]
    assert drive([b"".join(sent)]) == expected


@pytest.mark.parametrize("number", CASES)
@pytest.mark.parametrize("size", [1, 7])
def test_in_small_pieces(number: str, size: int) -> None:
    sent, expected = CASES[number]
    assert drive(chopped(b"".join(sent), size)) == expected
