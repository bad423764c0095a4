"""The name that a network hears, over multicast on this machine's own interface."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from zeroconf import AddressResolverIPv4, IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from lanying.admin.announced import NetworkName, offered
from lanying.config.schema import Config
from lanying.testing.poll import eventually
from lanying.tls.names import addresses, host_name

HERE = ["127.0.0.1"]


@pytest.mark.parametrize(
    ("settings", "offer"),
    [
        ({}, None),
        ({"listen_tls": "127.0.0.1:8443"}, None),
        ({"listen_tls": "0.0.0.0:8443"}, ("https", 8443)),
        ({"listen_tls": "[::]:443", "listen": "0.0.0.0:80"}, ("https", 443)),
        ({"listen": "0.0.0.0:8480"}, ("http", 8480)),
        ({"listen_tls": "0.0.0.0:8443", "mdns_name": ""}, None),
    ],
    ids=["this machine", "TLS for this machine", "TLS", "TLS before without", "without TLS", "off"],
)
def test_what_a_network_reaches_is_announced(settings: dict[str, str], offer: tuple[str, int] | None) -> None:
    assert offered(msgspec.convert(settings, Config)) == offer


@pytest.mark.parametrize("name", ["Lanying", "a.b", "-a", "a-", "a" * 64, "schule ", "ä"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"mdns_name": name}, Config)


async def asked(name: str) -> list[str]:
    voice = AsyncZeroconf(interfaces=HERE, ip_version=IPVersion.V4Only)
    try:
        resolver = AddressResolverIPv4(f"{name}.")
        await resolver.async_request(voice.zeroconf, 3000)
        return list(resolver.parsed_addresses())
    finally:
        await voice.async_close()


async def begun(announcement: NetworkName) -> asyncio.Task[None]:
    """The task of one that has its name."""
    task = asyncio.create_task(announcement.run())
    await eventually("a name", lambda: announcement.name)
    return task


def test_a_name_is_found_while_it_is_announced_and_not_behind_that() -> None:
    async def play() -> None:
        announcement = NetworkName("lanying-test-one", "https", 8443, HERE)
        task = await begun(announcement)
        assert announcement.name == "lanying-test-one.local"
        assert await asked(announcement.name) == HERE
        task.cancel()
        await announcement.stop()
        assert await asked("lanying-test-one.local") == []

    asyncio.run(play())


def test_a_name_that_another_machine_has_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanying.admin.announced.host_name", lambda: "lanying-test-machine")
    kind = "_http._tcp.local."
    other = ServiceInfo(
        kind, f"Other.{kind}", port=80, server="lanying-test-two.local.", parsed_addresses=["192.0.2.7"]
    )

    async def play() -> None:
        voice = AsyncZeroconf(interfaces=HERE, ip_version=IPVersion.V4Only)
        await (await voice.async_register_service(other))
        announcement = NetworkName("lanying-test-two", "https", 9443, HERE)
        task = await begun(announcement)
        assert announcement.name == "lanying-test-machine.local"
        assert await asked("lanying-test-two.local") == ["192.0.2.7"]
        task.cancel()
        await announcement.stop()
        await voice.async_close()

    asyncio.run(play())


def test_addresses_are_those_that_others_reach() -> None:
    assert not [one for one in addresses() if one.startswith("127.")]
    assert host_name() and "." not in host_name()
