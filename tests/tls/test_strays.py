"""What somebody without TLS is answered."""

from __future__ import annotations

import socket

import pytest

from lanying.tls.strays import elsewhere, is_plain


@pytest.mark.parametrize(
    ("request_line", "leads_to_trust", "port", "location"),
    [
        (b"GET / HTTP/1.1", True, None, b"/trust"),
        (b"GET / HTTP/1.1", False, None, b"https://pi.local:8480/"),
        (b"HEAD /admin?x=1 HTTP/1.1", True, None, b"https://pi.local:8480/admin?x=1"),
        (b"GET / HTTP/1.1", False, 8443, b"https://pi.local:8443/"),
        (b"GET / HTTP/1.1", False, 443, b"https://pi.local/"),
        (b"POST /token/user HTTP/1.1", False, None, None),
        (b"GET /a\x00b HTTP/1.1", False, None, None),
    ],
)
def test_a_request_is_led_to_tls(request_line, leads_to_trust, port, location):
    request = request_line + b"\r\nAccept: */*\r\nHost: pi.local:8480\r\n\r\n"
    answer = elsewhere(request, leads_to_trust=leads_to_trust, port=port)
    if location:
        assert b"\r\nLocation: " + location + b"\r\n" in answer
    else:
        assert b"speaks TLS" in answer and b"Location" not in answer


@pytest.mark.parametrize(
    ("first", "plain"),
    [
        (b"GET /trust HTTP/1.1", True),
        (b"HEAD /trust/lanying.crt HTTP/1.1", True),
        (b"GET /trust?x HTTP/1.1", True),
        (b"GET /.well-known/acme-challenge/x HTTP/1.1", True),
        (b"GET /trusted HTTP/1.1", False),
        (b"POST /trust HTTP/1.1", False),
        (b"\x16\x03\x01", False),
        (b"", False),
    ],
)
def test_what_is_served_without_tls_is_seen_and_not_read(first, plain):
    client, server = socket.socketpair()
    server.setblocking(False)
    client.send(first)
    assert is_plain(server) is plain
    if first:
        assert server.recv(100) == first
    client.close()
    server.close()
