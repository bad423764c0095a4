"""An XMPP client for the generator: SASL PLAIN, one resource, stream management (XEP-0198) for acknowledgements.

Every message is followed by ``<r/>``; the server's ``<a h="n"/>`` says that it has taken our first ``n`` stanzas. What the
server asks for the same way is answered at once, so that both sides are acknowledged as in :mod:`bench.wire`. Stanzas are
cut out of the stream by their names, without an XML parser: servers do not nest a stanza in one of the same name here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

from bench.client import CLOSED, LOGIN, READY, Client, Member, Setting
from bench.tally import STAMP_BYTES, Tally

DOMAIN: Final = "localhost"
_STREAM = (
    f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
).encode()
_BIND = (
    b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>"
    b"<enable xmlns='urn:xmpp:sm:3'/>"
)
_ASK = b"<r xmlns='urn:xmpp:sm:3'/>"
_NAME = re.compile(rb"<([\w:?]+)")
_H = re.compile(rb"\bh=['\"](\d+)")
_STANZAS: Final = (b"message", b"presence", b"iq")
_OPENING: Final = (b"stream:stream", b"?xml")


def user(uid: int) -> str:
    """Local part of a JID."""
    return f"u{uid}"


class XmppClient(Client):
    """A client of an XMPP server. ``token`` is its password.

    :ivar taken: stanzas sent since stream management is on, ``seen``: stanzas received since then
    """

    __slots__ = ("_filler", "_managed", "_numbers", "_secure", "seen", "taken")

    def __init__(self, tally: Tally, member: Member, setting: Setting) -> None:
        super().__init__(tally, member, setting)
        self._filler = b"x" * (setting.size - STAMP_BYTES)
        self._start()

    def _start(self) -> None:
        self._secure = self._managed = False
        self.taken = self.seen = 0
        self._numbers: list[int] = []

    def hello(self, host: str) -> bytes:
        """The stream header."""
        self._start()
        self.state = LOGIN
        self.rest = b""
        return _STREAM

    def send(self, number: int, intended: int, time_ms: bytes) -> None:
        """Owe the socket the next message, and a request for its acknowledgement."""
        stamp, sequence = self.stamp(number, intended)
        self.taken += 1
        self.waiting.append((b"%d" % self.taken, intended, number, sequence))
        to = user(self.routes[number].to).encode()
        self.out.append(
            b"<message type='chat' to='%b@localhost' id='%d'><body>%b%b</body></message>%b"
            % (to, self.taken, stamp, self._filler, _ASK)
        )

    def beat(self) -> None:
        """White space keeps a stream alive."""
        self.out.append(b" ")

    def feed(self, data: bytes, now: int) -> None:
        """Cut stanzas out of the stream."""
        if self.rest:
            data = self.rest + data
        at = 0
        while True:
            start = data.find(b"<", at)
            if start < 0:
                self.rest = b""
                return
            head_end = data.find(b">", start)
            found = _NAME.match(data, start) if head_end >= 0 else None
            if found is None:
                if head_end >= 0 and data.startswith(b"</stream:stream>", start):
                    self.tally.error("closed by the server")
                    self.state = CLOSED
                    self.rest = b""
                    return
                break
            name = found[1]
            end = head_end + 1
            if name not in _OPENING and data[head_end - 1] != 0x2F:
                closing = b"</%b>" % name
                end = data.find(closing, head_end)
                if end < 0:
                    break
                end += len(closing)
            self._element(name, data[start:end], now)
            at = end
        self.rest = data[start:]

    def _element(self, name: bytes, data: bytes, now: int) -> None:
        if name in _STANZAS:
            if self._managed:
                self.seen += 1
            if name == b"message":
                self._message(data, now)
        elif name == b"a":
            self._acknowledge(int(_H.search(data)[1]), now)  # type: ignore[index]
        elif name == b"r":
            self.out.append(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self.seen)
        elif name == b"stream:features":
            self.out.append(_BIND if self._secure else self._authentication())
        elif name == b"success":
            self._secure = True
            self.out.append(_STREAM)
        elif name == b"enabled":
            self._managed = True
            self.taken = 1
            self.out.append(b"<presence/>")
            self.state = READY
        elif name in (b"failure", b"failed", b"stream:error"):
            self.tally.error(data[:120].decode("utf-8", "replace"))
            self.state = CLOSED

    def _authentication(self) -> bytes:
        plain = b64encode(f"\0{user(self.uid)}\0{self.token}".encode())
        return b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % plain

    def _message(self, data: bytes, now: int) -> None:
        at = data.find(b"<body>") + 6
        if b"type='error'" in data[:200] or b'type="error"' in data[:200]:
            self.tally.error("message refused: " + data[:200].decode("utf-8", "replace"))
        elif at > 5:
            self.tally.batches += 1
            self.arrived(data[at : at + STAMP_BYTES], now)

    def _acknowledge(self, taken: int, now: int) -> None:
        waiting = self.waiting
        while waiting and int(waiting[0][0]) <= taken:
            self.acknowledged(waiting.popleft()[1], now)
