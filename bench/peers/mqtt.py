"""An MQTT 3.1.1 client for the generator: a persistent session, one topic of its own, QoS 1 both ways."""

from __future__ import annotations

from typing import Final

from bench.client import CLOSED, LOGIN, READY, Client, Member, Setting
from bench.tally import STAMP_BYTES, Tally

KEEP_ALIVE_S: Final = 180
CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13


def topic(uid: int) -> bytes:
    """Where somebody is written to."""
    return b"u/%d" % uid


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _packet(head: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        more = size >> 7
        length += bytes((size & 127 | (128 if more else 0),))
        size = more
        if not size:
            return bytes((head,)) + length + body


class MqttClient(Client):
    """A client of an MQTT broker, known by its uid.

    :ivar identifier: packet identifier of the last message
    """

    __slots__ = ("_filler", "identifier")

    def __init__(self, tally: Tally, member: Member, setting: Setting) -> None:
        super().__init__(tally, member, setting)
        self._filler = b"x" * (setting.size - STAMP_BYTES)
        self.identifier = 0

    def hello(self, host: str) -> bytes:
        """CONNECT with a session that outlives the connection."""
        self.state = LOGIN
        self.rest = b""
        keep = KEEP_ALIVE_S.to_bytes(2, "big")
        return _packet(0x10, _text(b"MQTT") + b"\x04\x00" + keep + _text(b"u%d" % self.uid))

    def send(self, number: int, intended: int, time_ms: bytes) -> None:
        """PUBLISH with QoS 1 to the recipient's topic."""
        stamp, sequence = self.stamp(number, intended)
        self.identifier = self.identifier % 65_535 + 1
        identifier = self.identifier.to_bytes(2, "big")
        self.waiting.append((identifier, intended, number, sequence))
        self.out.append(_packet(0x32, _text(topic(self.routes[number].to)) + identifier + stamp + self._filler))

    def beat(self) -> None:
        """PINGREQ."""
        self.out.append(b"\xc0\x00")

    def feed(self, data: bytes, now: int) -> None:
        """Cut packets out of the stream."""
        if self.rest:
            data = self.rest + data
        at, size = 0, len(data)
        while at + 2 <= size:
            start, shift, length = at + 1, 0, 0
            while start < size:
                byte = data[start]
                length |= (byte & 127) << shift
                shift += 7
                start += 1
                if byte < 128:
                    break
            else:
                break
            end = start + length
            if end > size:
                break
            self._received(data[at] >> 4, data[start:end], now)
            at = end
        self.rest = data[at:]

    def _received(self, kind: int, body: bytes, now: int) -> None:
        if kind == PUBLISH:
            at = 2 + int.from_bytes(body[:2], "big")
            self.out.append(b"\x40\x02" + body[at : at + 2])
            self.tally.batches += 1
            self.arrived(body[at + 2 : at + 2 + STAMP_BYTES], now)
        elif kind == PUBACK:
            waiting = self.waiting
            found = waiting[0] if waiting and waiting[0][0] == body else None
            found = found or next((one for one in waiting if one[0] == body), None)
            if found is None:
                self.tally.unknown_acknowledgements += 1
                return
            waiting.remove(found)
            self.acknowledged(found[1], now)
        elif kind == CONNACK:
            if body[1:2] != b"\0":
                self.tally.error(f"login refused: {body[1:2].hex()}")
                self.state = CLOSED
                return
            self.out.append(_packet(0x82, b"\0\1" + _text(topic(self.uid)) + b"\1"))
        elif kind == SUBACK:
            self.state = READY
