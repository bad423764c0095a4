"""The bus: what another process sends, decoded; bundles of links, their numbers, hand-offs."""

from __future__ import annotations

from typing import Any

import msgspec

from lanying.bus import messages
from lanying.bus.handoff.records import Login, Visitor
from lanying.bus.messages import AdminRequest, Envelope, LinkMessage, Request
from lanying.bus.messages.base import kinds
from lanying.shard.core.links import LinkReceiver, bundles
from tests.fuzz.source import Source, Values
from tests.fuzz.target import Found, Target

_DECODERS: tuple[Any, ...] = (
    messages.decode_envelope,
    messages.decode_bundle,
    messages.decode_request,
    messages.decode_admin_request,
    msgspec.msgpack.Decoder(Login).decode,
    msgspec.msgpack.Decoder(Visitor).decode,
)
KINDS = sorted(
    {*kinds(Envelope), *kinds(LinkMessage), *kinds(Request), *kinds(AdminRequest)}, key=lambda kind: kind.__name__
)


class Envelopes(Target):
    """The first byte chooses: bytes as they are, a message of a type and back again, or a run of numbers over a link."""

    unit = "messages"

    def renew(self) -> None:
        self._values = Values({}, 63)

    def seeds(self) -> list[bytes]:
        filled = [self._values.struct(kind, Source(bytes(range(1, 60)))) for kind in KINDS]
        raw = [bytes([3 * at]) + messages.encode(one if at != 1 else [one]) for at in range(4) for one in filled]
        return raw + [bytes([1, at]) + bytes(range(40)) for at in range(len(KINDS))] + [b"\2" + bytes(range(60))]

    def judge(self, data: bytes) -> None:
        how, rest = (data[0], data[1:]) if data else (0, b"")
        self.units += 1
        if how % 3 == 0:
            try:
                found = _DECODERS[how // 3 % len(_DECODERS)](rest)
            except (msgspec.DecodeError, UnicodeDecodeError):  # the second by a text that is none, in a key
                return
            messages.encode(found)
        elif how % 3 == 1:
            source = Source(rest)
            one = self._values.struct(source.pick(KINDS), source)
            if msgspec.msgpack.decode(messages.encode(one), type=type(one)) != one:
                raise Found(f"{one} is another when it is read again")
        else:
            link(Source(rest))


def link(source: Source) -> None:
    """Bundles come twice, too late, too early: what a receiver has taken it does not take again."""
    items = [messages.encode(messages.Seat(n, n)) for n in range(source.byte() % 20)]
    again = [one for bundle in bundles(items) for one in messages.decode_bundle(bundle)]
    assert again == [messages.Seat(n, n) for n in range(len(items))]
    receiver = LinkReceiver(source.number(20))
    while source.left:
        before = receiver.seen
        count = source.byte()
        skip = receiver.fresh(source.number(20), count, source.number(20))
        if receiver.seen < before or (skip is not None and not 0 <= skip <= count):
            raise Found(f"from {before} to {receiver.seen}, {skip} of {count} are skipped")
