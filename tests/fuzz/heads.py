"""The first bytes of a connection: PROXY protocol, HTTP head, upgrade, frames up to a login; in the router's own state machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lanying.base import limits
from lanying.base.errors import ProtocolError
from lanying.base.peers import Proxies, peer_key
from lanying.base.tokens import ROLE_USER, Identity, issue
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, wrap_client
from lanying.protocol.handshake import check_upgrade_response, client_path, upgrade_request
from lanying.protocol.proxy import SIGNATURE
from lanying.router.arrival import CLOSED, HANDED, HEAD, LOGIN, Arrival, Close, ToGateway, ToShard, Write
from lanying.router.login import Doorkeeper
from tests.fuzz.target import Found, Target

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SECRET = b"\x11" * 32
UID = 1_000 * 1024 + 7
ADDRESS = "192.0.2.1"
TOKEN = issue(SECRET, Identity("app", UID, ROLE_USER, 1))


class Heads(Target):
    """The first byte says how it is cut, and by whom it comes."""

    unit = "connections"
    words = (
        b"\r\n\r\n",
        b"HTTP/1.1",
        b"Upgrade: websocket\r\n",
        b"X-Forwarded-For: ",
        SIGNATURE,
        b"EIO=3&transport=websocket",
    )

    def renew(self) -> None:
        directory = Directory(ShardMap.even(2), RunDirectory(Path("/nowhere")), lambda: None)
        apps = {"app": App("app", "App", SECRET.hex())}
        self._doorkeeper = Doorkeeper(apps, directory, lambda: 2_000_000_000_000)
        self._proxies = (Proxies(), Proxies((ADDRESS,)))

    def seeds(self) -> list[bytes]:
        upgrades = [(kind, upgrade_request("im.example", client_path(kind), KEY)) for kind in (XSYNC, SOCKETIO)]
        logins = [
            frame.provision(UID, TOKEN, "guid", "Web"),
            frame.provision(UID, "a.b.c", "g", "Web"),
            frame.unread_request(),
        ]
        begun = [
            head + b"".join(wrap_client(kind, one, b"abcd") for one in logins[at:])
            for kind, head in upgrades
            for at in range(3)
        ]
        begun += [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /token/user HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
            b"GET http://a/xsync?x=1#y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ::ffff:1.2.3.4, fe80::1%eth0\r\n\r\n",
        ]
        for family, addresses in ((0x11, bytes(12)), (0x21, bytes(36)), (0, b"")):
            header = SIGNATURE + b"\x21" + bytes([family]) + (len(addresses) + 5).to_bytes(2, "big") + addresses
            begun.append(header + b"\x20\x00\x02\x01\x00" + begun[0])
        return [bytes([how]) + one for one in begun for how in (0, 1, 8, 0x81)]

    def judge(self, data: bytes) -> None:
        how, data = (data[0], data[1:]) if data else (0, b"")
        step = how >> 1 & 63 or limits.READ_BYTES
        arrival = Arrival(self._doorkeeper, ADDRESS, 0.0, self._proxies[how & 1])
        ends: list[Any] = []
        wrote = 0
        for at in range(0, len(data), step):
            if arrival.state not in (HEAD, LOGIN):
                break
            for action in arrival.receive(data[at : at + step], 0.0):
                wrote += len(action.data) if isinstance(action, Write) else 0
                ends += [action] if isinstance(action, Close | ToShard | ToGateway) else []
        self.units += 1
        if how & 0x80 and arrival.state is HANDED:
            arrival.refused(2, "no", 0.0)
        if arrival.state in (HEAD, LOGIN):
            arrival.timed_out()
        if (
            len(ends) > 1
            or (ends and arrival.state in (HEAD,))
            or (not ends and arrival.state not in (LOGIN, CLOSED, HEAD))
        ):
            raise Found(f"{ends} in {arrival.state}")
        if wrote > 20 * len(data) + 1000:
            raise Found(f"{wrote} bytes of answer to {len(data)}")
        peer_key(arrival.address)
        try:
            check_upgrade_response(data, KEY)
        except ProtocolError:
            pass
