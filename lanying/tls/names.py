"""What this machine is called by those who connect to it."""

from __future__ import annotations

import ipaddress
import socket

import psutil


def of_machine() -> list[str]:
    """Its name, the name it has on a network without a name server (mDNS), and its addresses; for a certificate, so without repetitions
    and without what changes by itself every few hours (IPv6 privacy addresses look like any other: those of a public network are left out).
    """
    host = socket.gethostname().rstrip(".").lower()
    short = host_name()
    names = (
        [host, f"{short}.local", "lanying.local", "localhost"]
        if host != "localhost"
        else ["lanying.local", "localhost"]
    )
    return [*dict.fromkeys(names), *sorted(_addresses())]


def host_name() -> str:
    """This machine's name without a domain."""
    return socket.gethostname().lower().partition(".")[0]


def addresses() -> list[str]:
    """IPv4 addresses at which a network reaches this machine."""
    return sorted(one for one in _addresses() if "." in one and not ipaddress.ip_address(one).is_loopback)


def _addresses() -> set[str]:
    found: set[str] = set()
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ipaddress.ip_address(each.address.partition("%")[0])
            if address.version == 4 or address.is_loopback or (address.is_private and not address.is_link_local):
                found.add(str(address))
    return found
