"""A real server with TLS: every kind of client through it, and a certificate that is exchanged under those who chat."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from lanying.base.errors import CallError
from lanying.client import Client, Message
from lanying.config.certificates import AUTHORITY, DIRECTORY, SERVER, SERVER_KEY
from lanying.protocol.handshake import new_key, upgrade_request
from lanying.testing.cluster import Cluster
from lanying.testing.poll import SLOWNESS, until
from lanying.testing.ports import free_port
from lanying.tls.authority import ensure
from lanying.tls.kernel import Kernel
from tests.compat.test_node import play


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One with TLS alone: nothing else is listened on, but to say where that is."""
    settings = {"listen_tls": "127.0.0.1:0", "listen_redirect": f"127.0.0.1:{free_port()}", "tls_kernel": "true"}
    running = Cluster(tmp_path_factory.mktemp("tls"), shards=2, **settings)
    running.listen = ""
    with running:
        yield running


def address(server: Cluster) -> str:
    return str(server.status()["tls_url"])


def trusting(server: Cluster) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.data / DIRECTORY / AUTHORITY)


def get(server: Cluster, path: str) -> tuple[int, bytes]:
    host = urlsplit(address(server)).netloc
    connection = http.client.HTTPSConnection(host, context=trusting(server), timeout=30 * SLOWNESS)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_log_says_whether_the_kernel_encrypts(server):
    found = Kernel.find()
    assert f"event=serving by={'kernel' if found else 'relay'}" in server.log()
    assert found or os.environ.get("LANYING_TEST_KERNEL_TLS") != "required", "this kernel has no TLS"
    if found:
        found.close()


def test_page_rest_and_discovery_are_there_and_say_https(server):
    assert get(server, "/api/health")[0] == 200
    assert b"<html" in get(server, "/")[1]
    found = msgspec.json.decode(get(server, "/v2/app_dns?app_id=lanying")[1])
    assert b'"protocol":"https"' in msgspec.json.encode(found)


def test_without_tls_there_is_the_way_to_it_alone(server):
    assert server.url == address(server)
    plain = server.environment["LANYING_LISTEN_REDIRECT"]

    def ask(method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(plain, timeout=30 * SLOWNESS)
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.getheader("location", "")

    assert ask("GET", "/v2/app_dns?app_id=lanying") == (308, f"{address(server)}/v2/app_dns?app_id=lanying")
    assert ask("GET", "/") == (307, "/trust") and ask("GET", "/trust") == (200, "")
    assert ask("POST", "/user/register/v2", "{}")[0] == 400
    with socket.create_connection(("127.0.0.1", int(plain.rpartition(":")[2]))) as client:
        client.sendall(upgrade_request(plain, "/xsync", new_key()))
        assert client.recv(4096).startswith(b"HTTP/1.1 308 ")


@pytest.mark.parametrize("transport", ["xsync", "socketio"])
def test_two_people_chat(server, transport, monkeypatch):
    async def chat() -> str:
        url, authority = address(server), server.data / DIRECTORY / AUTHORITY
        async with (
            Client(url, transport=transport, authority=authority) as alice,
            Client(url, transport=transport, authority=authority) as bob,
        ):
            for client, name in ((alice, "alice"), (bob, "bob")):
                await client.register(f"{name}_{transport}", "correct-horse1")
                await client.login(f"{name}_{transport}", "correct-horse1")
            await alice.send_text(bob.uid, "Hello, Bob! " * 3000)
            async for event in bob:
                if isinstance(event, Message):
                    return event.text
        return ""

    assert asyncio.run(asyncio.wait_for(chat(), 60 * SLOWNESS)) == "Hello, Bob! " * 3000


def test_other_peoples_libraries_chat(server):
    """socket.io-client and protobufjs, who trust the authority by its file."""
    play(address(server), "chat", NODE_EXTRA_CA_CERTS=str(server.data / DIRECTORY / AUTHORITY))


def test_a_new_certificate_is_shown_and_nobody_is_disconnected(server):
    directory = server.data / DIRECTORY
    kept = directory / AUTHORITY

    def shown() -> bytes:
        host, _, port = urlsplit(address(server)).netloc.rpartition(":")
        return ssl.get_server_certificate((host, int(port)), ca_certs=directory / AUTHORITY).encode()

    async def chat() -> None:
        async with Client(address(server), authority=kept) as alice:
            await alice.register("stays", "correct-horse1")
            await alice.login("stays", "correct-horse1")
            old = await asyncio.to_thread(shown)
            (directory / SERVER).unlink()
            await asyncio.to_thread(ensure, directory, ["127.0.0.1", "localhost"], datetime.now(UTC))
            await asyncio.to_thread(until, "the new certificate is shown", lambda: shown() != old)
            assert (await alice.send_text(alice.uid, "still here")).mid

    asyncio.run(asyncio.wait_for(chat(), 90 * SLOWNESS))


def test_a_client_that_does_not_trust_it_is_told_what_to_do(server):
    async def connect() -> None:
        async with Client(address(server)) as client:
            await client.register("nobody", "correct-horse1")

    with pytest.raises(Exception, match=r"certificate.*authority"):
        asyncio.run(connect())


def test_a_client_without_tls_is_told_to_write_https(server):
    async def connect(url: str) -> None:
        async with Client(url) as client:
            await client.register("nobody", "correct-horse1")

    with pytest.raises(CallError, match="write https://"):
        asyncio.run(connect(address(server).replace("https:", "http:")))


def test_a_client_with_tls_where_there_is_none_is_told_to_write_http(cluster):
    async def connect() -> None:
        async with Client(cluster.url.replace("http:", "https:")) as client:
            await client.register("nobody", "correct-horse1")

    with pytest.raises(CallError, match="write http://"):
        asyncio.run(connect())


def test_files_that_are_no_good_are_refused_before_the_start(tmp_path):
    for name in ("a", "b"):
        ensure(tmp_path / name, ["localhost"], datetime.now(UTC))
    shutil.copy(tmp_path / "b" / SERVER_KEY, tmp_path / "key.pem")
    cluster = Cluster(
        Path(tmp_path),
        shards=1,
        listen_tls="127.0.0.1:0",
        tls_certificate=tmp_path / "a" / SERVER,
        tls_key=tmp_path / "key.pem",
    )
    with pytest.raises(AssertionError, match="the key is not the certificate's"):
        cluster.start()


def test_the_page_about_trust_is_all_there_is_without_tls(server):
    """Whatever is sent behind it, at once or after its answer, is not served: a password may be in it."""
    login = b"POST /token/user HTTP/1.1\r\nHost: a\r\napp_id: lanying\r\nContent-Length: 2\r\n\r\n{}"
    page = b"GET /trust HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    host, _, port = address(server).removeprefix("https://").rpartition(":")
    for first, later in ((page + login, b""), (page, login)):
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(first)
            said = client.recv(65_536)
            try:
                client.sendall(later)
                while data := client.recv(65_536):
                    said += data
            except ConnectionError:
                pass  # closed before it was sent
        assert said.startswith(b"HTTP/1.1 200") and said.count(b"HTTP/1.1") == 1
