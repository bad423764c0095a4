"""Who a client is, by its address: what counts as one peer in every limit, and what proxies in front say about the client behind them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address


def peer_key(address: str) -> str:
    """What counts as one peer: an IPv4 address, the /64 of an IPv6 one (a single subscriber has all of it).

    A link-local address with its interface (``fe80::1%eth0``) counts alone: its /64 is the whole neighbourhood.
    """
    if ":" not in address or "%" in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped is not None else str(IPv6Address(int(found) >> 64 << 64))


def plain_address(address: str) -> str:
    """An address as the kernel gives it, an IPv4 one behind a dual-stack listener in its usual form."""
    return address.removeprefix("::ffff:") if "." in address else address


def is_loopback(address: str) -> bool:
    """Whether the peer is on this machine."""
    return address.startswith("127.") or address == "::1"


def without_port(host: str) -> str:
    """The name in a Host header; an IPv6 address in its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


class Proxies:
    """Networks whose word about the client behind them is believed (``listen_proxies``). Empty: nobody's is.

    :raises ValueError: not a network
    """

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(network) for network in networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        found = _parse(address)
        return found is not None and any(found in network for network in self._networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """The client of a request from ``peer`` with this ``X-Forwarded-For``: its rightmost hop that is no proxy of ours.

        What stands further left was written by the client itself and proves nothing.
        """
        hops = forwarded_for.split(",") if forwarded_for else []
        while hops and peer in self:
            hop = _parse(hops.pop())
            if hop is None:
                break
            peer = str(hop)
        return peer


def _parse(text: str) -> Address | None:
    """An address as proxies write it: with or without brackets and port. None: it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found
