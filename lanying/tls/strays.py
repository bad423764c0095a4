"""Those who come to the port for TLS without it."""

from __future__ import annotations

import re
import socket
from typing import Final

from lanying.base.peers import without_port
from lanying.protocol.handshake import error_response

HTTPS: Final = 443
_NOT_TLS: Final = error_response(400, "this port speaks TLS: write https:// in front of the address")
_PLAIN: Final = re.compile(rb"(?:GET|HEAD) /(?:trust[/? ]|\.well-known/acme-challenge/)")
"""What is served without TLS: how to come to trust it, and proofs for a public authority."""
_PLAIN_BYTES: Final = 40
"""As long as the longest of these."""
_REQUEST: Final = re.compile(
    rb"(?:GET|HEAD) (/[!-~]*) HTTP/1\.[01]\r\n(?:.*\r\n)??host: *([\w.:\[\]-]+)\r\n", re.IGNORECASE | re.DOTALL
)


def is_plain(sock: socket.socket) -> bool:
    """Whether a request waits there that is served without TLS. Nothing is read."""
    try:
        return bool(_PLAIN.match(sock.recv(_PLAIN_BYTES, socket.MSG_PEEK)))
    except OSError:
        return False


def elsewhere(data: bytes, *, leads_to_trust: bool, port: int | None) -> bytes:
    """The answer to somebody who does not speak TLS.

    :param port: where TLS is; None: they have come to the right one
    """
    found = _REQUEST.match(data)
    if found is None:
        return _NOT_TLS
    path, host = found[1].decode(), found[2].decode()
    if leads_to_trust and path == "/":
        return error_response(307, "this port speaks TLS", {"Location": "/trust"})
    if port is not None:
        host = without_port(host) + ("" if port == HTTPS else f":{port}")
    return error_response(308, "this port speaks TLS", {"Location": f"https://{host}{path}"})
