"""Behind proxies, those that are installed, with the settings of docs/proxy.md: everything works, and clients are who they are."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from lanying.client import Client, Message
from lanying.protocol import frame
from lanying.protocol.connection import SOCKETIO, XSYNC, wrap_client
from lanying.protocol.handshake import new_key, upgrade_request
from lanying.protocol.schema.xsync_pb2 import Frame, Status
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S, until
from lanying.testing.ports import free_port
from lanying.testing.raw import RawClient, rest
from tests.web.test_page import LIMIT_S, run_page

DOCUMENT = (Path(__file__).parents[2] / "docs/proxy.md").read_text()
BACKEND = "127.0.0.1:8480"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"listen_proxies": "127.0.0.1/32", "log_level": "debug"}
    with Cluster(tmp_path_factory.mktemp("proxied"), shards=1, **settings) as cluster:
        yield cluster


def sample(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[number]


MAP = sample("nginx").partition("\n")[0]
BARE = """location /im/ {
    proxy_pass http://127.0.0.1:8480/;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
}"""
"""What people write without having read anything: not even who asks, and for what."""


def nginx(directory: Path, port: int, backend: str, location: str = "") -> list[str]:
    """The documented server, or one with this location; without TLS."""
    text = f"{MAP}\nserver {{ listen 443 ssl;\n{location}\n}}" if location else sample("nginx")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port}").replace(BACKEND, backend)
    temporary = "".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"daemon off; pid {directory}/pid; error_log {directory}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    return ["nginx", "-e", f"{directory}/error.log", "-c", str(directory / "nginx.conf")]


def haproxy(directory: Path, port: int, backend: str, number: int) -> list[str]:
    """A documented pair, without TLS."""
    text = re.sub(r"bind :443.*", f"bind 127.0.0.1:{port}", sample("haproxy", number)).replace(BACKEND, backend)
    text = text.replace("X-Forwarded-Proto https", "X-Forwarded-Proto http")
    (directory / "haproxy.cfg").write_text(f"defaults\n    timeout connect 5s\n{text}")
    return ["haproxy", "-f", str(directory / "haproxy.cfg")]


def caddy(directory: Path, port: int, backend: str, number: int) -> list[str]:
    """A documented site, without TLS."""
    text = re.sub(r"^\S+ \{", f"http://:{port} {{", sample("caddy", number)).replace(BACKEND, backend)
    (directory / "Caddyfile").write_text(f"{{\n    admin off\n    storage file_system {directory}\n}}\n{text}")
    return ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]


def traefik(directory: Path, port: int, backend: str, number: int) -> list[str]:
    """Documented routes of any host, without TLS."""
    text = sample("yaml", number).replace(BACKEND, backend).replace(", tls: { certResolver: main }", "")
    (directory / "routes.yml").write_text(re.sub(r"Host\(`[^`]*`\)", "PathPrefix(`/`)", text))
    place = [f"--entrypoints.websecure.address=127.0.0.1:{port}", f"--providers.file.filename={directory}/routes.yml"]
    return ["traefik", *place, "--global.checknewversion=false", "--global.sendanonymoususage=false"]


PROXIES: dict[str, Callable[[Path, int, str], list[str]]] = {
    "nginx": nginx,
    "haproxy by HTTP": lambda directory, port, backend: haproxy(directory, port, backend, 0),
    "haproxy by TCP": lambda directory, port, backend: haproxy(directory, port, backend, 1),
    "caddy": lambda directory, port, backend: caddy(directory, port, backend, 0),
    "traefik": lambda directory, port, backend: traefik(directory, port, backend, 0),
    "nginx below a path": lambda directory, port, backend: nginx(directory, port, backend, sample("nginx", 1)),
    "haproxy below a path": lambda directory, port, backend: haproxy(directory, port, backend, 2),
    "caddy below a path": lambda directory, port, backend: caddy(directory, port, backend, 1),
    "traefik below a path": lambda directory, port, backend: traefik(directory, port, backend, 1),
    "bare nginx below a path": lambda directory, port, backend: nginx(directory, port, backend, BARE),
}
SPEAKS_FOR_CLIENTS = [name for name in PROXIES if not name.startswith("bare")]


@pytest.fixture
def proxy(request: pytest.FixtureRequest, server: Cluster, tmp_path: Path) -> Iterator[str]:
    """Address of the server behind a proxy: all of a port, or what lies below a path of it."""
    port = free_port()
    command = PROXIES[request.param](tmp_path, port, server.listen)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)

    address = f"http://127.0.0.1:{port}/" + ("im/" if "path" in request.param else "")

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "output").read_text()
        try:
            return httpx.get(address).status_code == 200  # before it has read its routes a proxy may answer 404
        except httpx.TransportError:
            return False

    try:
        until("the server answers through the proxy", answers)
        yield address.removesuffix("/")
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("proxy", SPEAKS_FOR_CLIENTS, indirect=True)
def test_clients_work_behind_a_proxy_and_are_who_it_says(
    server: Cluster, proxy: str, request: pytest.FixtureRequest
) -> None:
    name = re.sub(r"\W", "", f"{request.node.name}{urlsplit(proxy).port}")[-40:]
    answer = httpx.post(
        f"{proxy}/user/register/v2",
        headers={"app-id": "lanying"},
        json={"username": name, "password": "correct-horse1"},
    )
    assert answer.json()["code"] == 200
    grant = rest(proxy, "/token/user", {"name": name, "password": "correct-horse1"})
    assert httpx.get(f"{proxy}/").headers["content-type"].startswith("text/html")
    where = httpx.get(f"{proxy}/v2/app_dns", params={"app_id": "lanying"}).text
    assert proxy.removeprefix("http://") in where

    # The attacker behind the proxy names somebody else; the proxy's word counts, and it stands right of theirs.
    local, began = httpx.HTTPTransport(local_address="127.0.0.9"), time.monotonic()
    with httpx.Client(transport=local) as client:
        codes = [
            client.post(
                f"{proxy}/token/user",
                headers={"app-id": "lanying", "x-forwarded-for": f"203.0.113.{number}"},
                json={"name": f"nobody{number}{name}", "password": "wrong12"},
            ).json()["code"]
            for number in range(150)
        ]
    tried = 100 * (1 + (time.monotonic() - began) / 60)  # of an address in a minute
    assert codes.count(10028) >= 150 - tried - 1
    assert rest(proxy, "/token/user", {"name": name, "password": "correct-horse1"})["user_id"] == grant["user_id"]

    for kind in (SOCKETIO, XSYNC):
        raw = RawClient(proxy, kind)
        raw.put(frame.provision(grant["user_id"], grant["token"], "guid"))
        command, found = raw.get()
        assert (command, found.status.code) == (Frame.PROVISION, Status.OK)
        raw.socket.close()


@pytest.mark.parametrize("proxy", SPEAKS_FOR_CLIENTS, indirect=True)
def test_a_websocket_behind_a_proxy_has_the_address_of_its_client(server: Cluster, proxy: str) -> None:
    address = urlsplit(proxy)
    source = f"127.0.0.{20 + len(server.log_file.read_text()) % 200}"
    client = socket.create_connection(("127.0.0.1", address.port or 0), source_address=(source, 0))
    client.sendall(upgrade_request("im.example", f"{address.path}/", new_key()))
    client.settimeout(PATIENCE_S)
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")  # what comes before it, proxies written in Go may drop
    client.sendall(wrap_client(XSYNC, frame.provision(7, "no token", "guid")))
    until(
        "the refusal in the log",
        lambda: re.search(rf"login_refused uid=7 address={re.escape(source)} ", server.log_file.read_text()),
    )
    client.close()


@pytest.mark.parametrize("proxy", [name for name in PROXIES if "path" in name], indirect=True)
def test_a_program_works_below_a_path(proxy: str) -> None:
    async def chat() -> None:
        async with Client(f"{proxy}/") as alice, Client(proxy, transport="socketio") as bob:
            for client in (alice, bob):
                name = f"user_{secrets.token_hex(6)}"
                await client.register(name, "correct-horse1")
                await client.login(name, "correct-horse1")
            await alice.send_text(bob.uid, "below a path")
            while not isinstance(event := await anext(bob), Message):
                pass
            assert event.text == "below a path"

    asyncio.run(asyncio.wait_for(chat(), 60))


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("proxy", ["bare nginx below a path"], indirect=True)
def test_the_page_works_below_a_path(server: Cluster, proxy: str) -> None:
    assert run_page("below.test.js", proxy, server) == ""
