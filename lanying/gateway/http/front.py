"""What every request passes on its way in, and every answer on its way out.

In: the client behind a trusted proxy (``listen_proxies``: X-Forwarded-For, -Proto, -Host, -Prefix), a host that is ours
(``rest.hosts``), for answers repeat it, doubled slashes of the path made one.
Out: pages of any origin may call (xsync 1.7; no cookies are involved, so ``*`` gives nothing away), and the headers that keep a browser
from making more of an answer than it is, unless the answer has its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lanying.base.peers import Proxies, without_port
from lanying.protocol.handshake import GUARDS

Headers = list[tuple[bytes, bytes]]

_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
"""A Host header that is one."""
_SLASHES: Final = re.compile("//+")
PREFIX: Final = "lanying.prefix"
"""In the scope: the path below which a proxy has this server."""
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){1,8}")
_WITH_SLASH: Final = ("/v2/app_dns/",)
"""What some SDKs ask for with a slash too many."""
_CALLERS_HEADERS: Final = b"app_id, app-id, access-token, content-type, user_id, group_id"
_ANY_ORIGIN: Final = (b"access-control-allow-origin", b"*")
_GUARDS: Final[Headers] = [(name.lower().encode(), value.encode()) for name, value in GUARDS.items()]

_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")


class Front:
    """Around the application.

    :param proxies: whose word about their clients is believed
    :param hosts: names of this server; none: any
    :param host: stands for a host that is none, or none of those
    :param strict: browsers that came over TLS are to come over TLS from now on (not with an authority of the server's own: who has not
        come to trust it could not even look)
    """

    def __init__(self, app: ASGIApp, proxies: Proxies, hosts: Sequence[str], host: str, *, strict: bool = True) -> None:
        self._app = app
        self._strict = strict
        self._proxies = proxies
        self._hosts = frozenset(name.lower() for name in hosts)
        self._host = (b"host", host.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._proxies:
            self._believe(scope)
        self._settle_host(scope)
        if "//" in scope["path"]:
            scope["path"] = _SLASHES.sub("/", scope["path"])
        if scope["path"] in _WITH_SLASH:
            scope["path"] = scope["path"].rstrip("/")
        secure = scope["scheme"] == "https"

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = guarded(list(message["headers"]), secure and self._strict)
            await send(message)

        app = _preflight(scope) if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_marked)

    def _believe(self, scope: Scope) -> None:
        """Make a trusted proxy's request its client's. Of a header sent twice, both are one list."""
        peer = (scope.get("client") or ("", 0))[0]
        if peer not in self._proxies:
            return
        said: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name.startswith(b"x-forwarded-"):
                text = value.decode("latin-1")
                said[name] = f"{said[name]},{text}" if name in said else text
        scope["client"] = (self._proxies.client(peer, said.get(b"x-forwarded-for", "")), 0)
        protocol = said.get(b"x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if protocol in ("http", "https"):
            scope["scheme"] = protocol
        host = said.get(b"x-forwarded-host", "").rpartition(",")[2].strip()
        prefix = said.get(b"x-forwarded-prefix", "").partition(",")[0].strip().rstrip("/")
        if _PREFIX.fullmatch(prefix):
            scope[PREFIX] = prefix
        if host:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", host.encode("latin-1"))]

    def _settle_host(self, scope: Scope) -> None:
        """Make a Host header that is not one of ours the configured one; the same where there is none, or more than one."""
        found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(found) == 1 and _HOST.fullmatch(found[0]):
            host = found[0].lower()
            if not self._hosts or host in self._hosts or without_port(host) in self._hosts:
                return
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [*others, self._host]


def guarded(headers: Headers, secure: bool) -> Headers:
    """The headers of an answer with those every answer has."""
    own = {name.lower() for name, _ in headers}
    headers.append(_ANY_ORIGIN)
    headers += [guard for guard in _GUARDS if guard[0] not in own]
    if secure:
        headers.append(_STRICT_TRANSPORT)
    return headers


def _preflight(scope: Scope) -> Response:
    asked = next((value for name, value in scope["headers"] if name == b"access-control-request-headers"), b"")
    response = Response(status_code=200)
    response.raw_headers += [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-allow-headers", asked or _CALLERS_HEADERS),
        (b"access-control-max-age", b"86400"),
    ]
    return response
