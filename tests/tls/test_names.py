"""What the machine is called: good for a certificate, whatever the machine."""

import socket
from datetime import UTC, datetime

import psutil
import pytest

from lanying.tls import authority
from lanying.tls.names import of_machine
from tests.tls.ends import joined_with


class Address:
    def __init__(self, family, address):
        self.family, self.address = family, address


@pytest.mark.parametrize("host", ["pi", "pi.school.lan", "localhost", "PI.School.Lan.", "a" * 60])
def test_names_are_plain_and_each_is_there_once(monkeypatch, host):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    names = of_machine()
    assert len(names) == len(set(names)) and {"localhost", "lanying.local", "127.0.0.1"} <= set(names)
    assert not any(name != name.lower() or name.endswith(".") or "%" in name for name in names)


def test_addresses_that_change_every_few_hours_are_left_out(monkeypatch):
    found = {
        "eth0": [
            Address(socket.AF_INET, "192.168.1.7"),
            Address(socket.AF_INET6, "2a00:1450:4001::77"),
            Address(socket.AF_INET6, "fe80::1%eth0"),
            Address(socket.AF_INET6, "fd12::1"),
            Address(psutil.AF_LINK, "02:00:00:00:00:01"),
        ]
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    addresses = {name for name in of_machine() if name[-1].isdigit() or ":" in name}
    assert addresses == {"192.168.1.7", "fd12::1"}


def test_a_client_may_come_by_every_name_of_this_machine(tmp_path):
    authority.ensure(tmp_path, of_machine(), datetime.now(UTC))
    for name in of_machine():
        joined_with(tmp_path, name)
    assert not authority.ensure(tmp_path, of_machine(), datetime.now(UTC)), "and it is made once"
