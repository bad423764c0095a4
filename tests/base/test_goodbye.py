"""What the kernel does not say by itself; with kernel TLS: ``tests/tls/test_terminator.py``."""

from __future__ import annotations

import socket

from lanying.base.goodbye import say_end


def test_a_socket_without_kernel_tls_is_left_alone():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    for end, other in ((server, client), socket.socketpair()):
        say_end(end.fileno())
        end.send(b"still open")
        assert other.recv(100) == b"still open"
        end.close()
        other.close()
    listener.close()


def test_who_has_gone_already_is_no_error():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    client.close()
    say_end(server.fileno())
    assert server.fileno() >= 0, "the caller's to close"
    server.close()
    listener.close()
