"""Ports that a server can be given."""

import random
import socket

from lanying.testing import ports


def test_a_port_is_not_one_that_any_connection_may_get():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        lowest = int(file.read().split()[0])
    assert lowest > ports.LAST or lowest < ports.FIRST


def test_ports_in_a_row_are_all_free(monkeypatch):
    first = ports.free_port(4)
    with socket.create_server(("127.0.0.1", first + 1)):
        answers = iter([first, first + 1, first + 2])
        monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: next(answers))
        assert ports.free_port(2) == first + 2
