from __future__ import annotations

import pytest

from lanying.base.peers import Proxies, peer_key, plain_address


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_what_counts_as_one_peer(address: str, key: str) -> None:
    assert peer_key(address) == key


def test_addresses_behind_a_dual_stack_listener() -> None:
    assert plain_address("::ffff:192.0.2.7") == "192.0.2.7"
    assert plain_address("192.0.2.7") == "192.0.2.7"
    assert plain_address("2001:db8::7") == "2001:db8::7"


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the client wrote the first
        ("127.0.0.1", "203.0.113.9, 10.0.0.3", "203.0.113.9"),  # two proxies of ours
        ("::ffff:127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.1.2.3", "[2001:db8::5]:80", "2001:db8::5"),
        ("10.1.2.3", "::ffff:203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, unknown", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # not a proxy of ours
    ],
)
def test_the_client_behind_trusted_proxies(peer: str, header: str, client: str) -> None:
    assert Proxies(["127.0.0.0/8", "10.0.0.0/8", "::1/128"]).client(peer, header) == client


def test_without_networks_nobody_is_believed() -> None:
    assert not Proxies()
    assert "127.0.0.1" not in Proxies()
    assert Proxies().client("127.0.0.1", "203.0.113.9") == "127.0.0.1"
