"""``/trust``: how people's devices come to trust the server's own certificate authority, and ``http`` to ``https`` where there is TLS.

Served without TLS as well, for whoever opens it does not trust the authority yet. What keeps a stranger in the same network from giving
them another one is the fingerprint: whoever runs the server sees it on its terminal, and the page says to compare.
"""

from __future__ import annotations

import hashlib
import io
import plistlib
import re
import ssl
import uuid
from collections.abc import Awaitable, Callable
from html import escape
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

import segno
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from lanying.base.peers import is_loopback, without_port
from lanying.config.certificates import AUTHORITY, CHALLENGES, DIRECTORY, fingerprint
from lanying.config.schema import Config

_TOKEN = re.compile("[A-Za-z0-9_-]{1,128}")
_NAMESPACE = uuid.UUID("2d3c1f3e-6f2b-4c8e-9f57-0d0a5a1c7e11")
"""Of the profiles' ids: the same authority gives the same ids, so that a profile that is installed again replaces itself."""


class Trust:
    """The authority of a server, as a page and as files that devices take.

    :param authority: PEM file
    """

    def __init__(self, config: Config, authority: Path) -> None:
        self._authority = authority
        self._port = config.tls_address[1]
        self._name = config.app_name
        self._page = files("lanying.web").joinpath("trust.html").read_text("utf-8")

    def page(self, request: Request) -> Response:
        """What trusting it means, the fingerprint to compare, a file for each kind of device, and the way on."""
        der = self._der()
        host = _host(request)
        here = f"{request.url.scheme}://{request.headers.get('host', '')}/trust"
        filled = self._page
        for name, value in (
            ("name", self._name),
            ("fingerprint", fingerprint(der)),
            ("there", f"https://{host}:{self._port}/"),
            ("here", here),
        ):
            filled = filled.replace("{" + name + "}", escape(value))
        return Response(filled.replace("{qr}", _drawn(here)), media_type="text/html; charset=utf-8")

    def certificate(self, request: Request) -> Response:
        """DER, as Android, Windows and macOS take it."""
        return _download(self._der(), "application/x-x509-ca-cert", "lanying.crt")

    def pem(self, request: Request) -> Response:
        """PEM, as Firefox, Linux and SDKs take it."""
        text = ssl.DER_cert_to_PEM_cert(self._der())
        return _download(text.encode(), "application/x-pem-file", "lanying.pem")

    def profile(self, request: Request) -> Response:
        """A configuration profile for iPhone, iPad and Mac (Apple: Configuration Profile Reference)."""
        der = self._der()
        marked = hashlib.sha256(der).hexdigest()
        ids = [str(uuid.uuid5(_NAMESPACE, f"{marked} {part}")).upper() for part in ("profile", "certificate")]
        content = {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"lanying.trust.{marked[:16]}",
            "PayloadUUID": ids[0],
            "PayloadDisplayName": self._name,
            "PayloadContent": [
                {
                    "PayloadType": "com.apple.security.root",
                    "PayloadVersion": 1,
                    "PayloadIdentifier": f"lanying.trust.{marked[:16]}.certificate",
                    "PayloadUUID": ids[1],
                    "PayloadDisplayName": self._name,
                    "PayloadContent": der,
                }
            ],
        }
        return _download(plistlib.dumps(content), "application/x-apple-aspen-config", "lanying.mobileconfig")

    def _der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self._authority.read_text("ascii"))


def add_to(app: Starlette, config: Config, data: Path) -> None:
    """Serve from ``app`` what the server's certificate needs: these pages for an authority of its own, proofs for a public one."""
    if config.listen_tls and config.tls_source == "acme":
        app.add_route("/.well-known/acme-challenge/{token}", _proofs(data / DIRECTORY / CHALLENGES), methods=["GET"])
    if not config.listen_tls or config.tls_source != "local":
        return
    trust = Trust(config, data / DIRECTORY / AUTHORITY)
    for path, answer in (
        ("/trust", trust.page),
        ("/trust/lanying.crt", trust.certificate),
        ("/trust/lanying.pem", trust.pem),
        ("/trust/lanying.mobileconfig", trust.profile),
    ):
        app.add_route(path, _endpoint(answer), methods=["GET", "HEAD"])


def elsewhere(config: Config, request: Request) -> Response | None:
    """Where a page belongs that was asked for without TLS; None: here. This machine and who comes through a proxy stay.

    With an authority of the server's own people see first how to trust it: the page they wanted would greet them with a warning.
    """
    peer = request.client.host if request.client else ""
    if not config.listen_tls or request.url.scheme == "https" or is_loopback(peer):
        return None
    if config.tls_source == "local":
        return Response(status_code=307, headers={"location": "/trust", "cache-control": "no-store"})
    there = f"https://{_host(request)}:{config.tls_address[1]}{request.url.path}"
    return Response(status_code=308, headers={"location": there})


def _host(request: Request) -> str:
    """The host the client used, without port."""
    return without_port(request.headers["host"])


def _endpoint(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return endpoint


def _proofs(directory: Path) -> Callable[[Request], Awaitable[Response]]:
    """RFC 8555 section 8.3: what :mod:`lanying.tls.acme` has written while a public authority looks."""

    async def endpoint(request: Request) -> Response:
        token = request.path_params["token"]
        if not _TOKEN.fullmatch(token):
            return Response(status_code=HTTPStatus.NOT_FOUND)
        try:
            return Response((directory / token).read_bytes(), media_type="application/octet-stream")
        except OSError:
            return Response(status_code=HTTPStatus.NOT_FOUND)

    return endpoint


def _download(content: bytes, kind: str, name: str) -> Response:
    return Response(
        content,
        media_type=kind,
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-cache"},
    )


def _drawn(text: str) -> str:
    """A QR code as SVG."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=5, border=3, xmldecl=False, svgns=True, dark="#000", light="#fff"
    )
    return out.getvalue().decode()
