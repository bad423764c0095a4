"""A real server with a push process, and somebody who plays Google: messages to users who are away reach their phone."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lanying.admin.console.client import Address, Console
from lanying.client import Client
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S, eventually, until
from tests.push.vendors.keys import account

PASSWORD = "correct-horse1"
_numbers = itertools.count()


class Google:
    """Gives access tokens and takes pushes.

    :ivar asked: token, and the message, of every push
    :ivar answers: by token, in turn, then the vendor takes it: status and JSON
    :ivar held: pushes to these tokens are not answered before the event
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        self.held: dict[str, threading.Event] = {}
        google = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/token":
                    self.answer(200, {"access_token": "good", "expires_in": 3600})
                    return
                message = json.loads(body)["message"]
                token = message.pop("token")
                google.asked.append((token, message))
                if token in google.held:
                    google.held[token].wait(PATIENCE_S)
                answers = google.answers[token]
                self.answer(*(answers.pop(0) if answers else (200, {"name": "projects/x/messages/1"})))

            def answer(self, status: int, value: dict[str, Any]) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def texts(self, token: str) -> list[str]:
        """What a phone has shown."""
        return [message["notification"]["body"] for asked, message in self.asked if asked == token]


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    found = Google()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, google: Google) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("push")
    with Cluster(directory, shards=2) as cluster:
        names = {row["name"] for row in cluster.status()["processes"]}
        assert "push" not in names, "nobody has a notifier"
        file = directory / "account.json"
        file.write_text(account())
        hosts = ("--endpoint", google.url, "--login-endpoint", google.url)
        notifier(cluster, "add", "google", "--provider", "fcm", "--certificate", str(file), *hosts)
        until("the push process runs", lambda: ready(cluster), PATIENCE_S, cluster.log)
        # Shards note what they owe from the first question of the push process on.
        until("it has asked all shards", lambda: len(owing(cluster)) == 2, PATIENCE_S, cluster.log)
        yield cluster


def notifier(server: Cluster, *arguments: str) -> str:
    command = [sys.executable, "-m", "lanying.cli", "notifier", *arguments, "--data", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ready(server: Cluster) -> bool:
    return any(row["name"] == "push" and row["state"] == "ready" for row in server.status()["processes"])


def owing(server: Cluster) -> list[float]:
    rows = [row["figures"] for row in server.status()["processes"]]
    return [figures["pushes_owed"] for figures in rows if "pushes_owed" in figures]


def why(server: Cluster, mid: int) -> list[str]:
    with Console(Address(data=server.data)) as console:
        steps = console.run("why", {"message_id": mid}).value["story"]
    return [f"{step['where']}: {step['what']}" for step in steps]


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await scene()

    asyncio.run(bounded())


async def person(server: Cluster) -> tuple[Client, str]:
    client, name = Client(server.url), f"push_{next(_numbers)}_{time.time_ns()}"
    await client.register(name, PASSWORD)
    await client.login(name, PASSWORD)
    return client, name


async def absent(server: Cluster, token: str) -> Client:
    """Somebody whose phone has this token and is not connected."""
    client, _ = await person(server)
    [device] = await client.rest("GET", "/user/device/list")
    binding = {"device_sn": device["device_sn"], "device_token": token, "notifier_name": "google"}
    await client.rest("POST", "/user/token/bind", **binding)
    await client.close()

    async def offline() -> bool:
        return not any(row["online"] for row in await client.rest("GET", "/user/device/list"))

    await eventually("the server has seen that it left", offline)
    return client


def token_of(name: str) -> str:
    return f"{name}-{'x' * 120}"


def test_a_message_to_who_is_away_reaches_his_phone_and_why_says_so(server: Cluster, google: Google) -> None:
    phone = token_of("story")

    async def scene() -> None:
        alice, _ = await person(server)
        bob = await absent(server, phone)
        sent = await alice.send_text(bob.uid, "are you there?")
        await eventually("Google has it", lambda: google.texts(phone) == ["are you there?"], PATIENCE_S, server.log)
        told = f"push to {bob.uid}, device 1: pushed (fcm)"
        await asyncio.to_thread(until, "why says so", lambda: told in why(server, sent.mid), PATIENCE_S)
        story = await asyncio.to_thread(why, server, sent.mid)
        assert any(step.endswith("waits for device 1, which is offline") for step in story)
        await alice.close()

    run(scene)
    status = server.status()
    counted = re.compile(r'lanying_pushes_sent_total\{[^}]*channel="fcm"')
    until("it is counted", lambda: counted.search(metrics(status)), saw=lambda: metrics(status))
    assert phone not in server.log_file.read_text() and "HTTP Request" not in server.log_file.read_text()


def metrics(status: dict[str, Any]) -> str:
    with urllib.request.urlopen(status["metrics_url"], timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def test_a_push_process_killed_while_the_vendor_has_it_sends_it_again(server: Cluster, google: Google) -> None:
    async def scene() -> None:
        phone = token_of("killed")
        alice, _ = await person(server)
        bob = await absent(server, phone)
        google.held[phone] = threading.Event()
        sent = await alice.send_text(bob.uid, "hello")
        await eventually("Google was asked", lambda: google.texts(phone) == ["hello"], PATIENCE_S, server.log)
        restarts = await asyncio.to_thread(server.kill, "push")
        google.held.pop(phone).set()
        await asyncio.to_thread(server.wait_ready, "push", restarts, PATIENCE_S)
        await eventually("Google was asked again", lambda: google.texts(phone) == ["hello"] * 2, PATIENCE_S, server.log)
        told = f"push to {bob.uid}, device 1: pushed (fcm)"
        await asyncio.to_thread(until, "why says so", lambda: told in why(server, sent.mid), PATIENCE_S)
        await alice.close()

    run(scene)


def test_a_shard_killed_still_owes_what_it_had_acknowledged(server: Cluster, google: Google) -> None:
    async def scene() -> None:
        phone = token_of("shard")
        alice, _ = await person(server)
        bob = await absent(server, phone)
        google.answers[phone] = [(503, {})] * 1000
        await alice.send_text(bob.uid, "hello")
        await eventually("Google was asked", lambda: google.texts(phone), PATIENCE_S, server.log)
        for shard in ("shard-0", "shard-1"):
            restarts = await asyncio.to_thread(server.kill, shard)
            await asyncio.to_thread(server.wait_ready, shard, restarts, PATIENCE_S)
        google.answers[phone].clear()
        await asyncio.to_thread(until, "nothing is owed", lambda: owing(server) == [0, 0], PATIENCE_S)
        await alice.close()

    run(scene)


def test_a_dead_token_is_unbound(server: Cluster, google: Google) -> None:
    async def scene() -> None:
        phone = token_of("dead")
        alice, _ = await person(server)
        bob = await absent(server, phone)
        gone = {"error": {"status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}}
        google.answers[phone] = [(404, gone)]
        first = await alice.send_text(bob.uid, "one")
        words = "the vendor says the token is dead, it is unbound: UNREGISTERED (fcm)"
        await asyncio.to_thread(
            until, "why says so", lambda: any(words in step for step in why(server, first.mid)), PATIENCE_S
        )
        second = await alice.send_text(bob.uid, "two")
        assert not any("push" in step for step in await asyncio.to_thread(why, server, second.mid))
        assert google.texts(phone) == ["one"]
        await alice.close()

    run(scene)


def test_a_back_end_orders_a_push_and_hears_what_became_of_it(server: Cluster, google: Google) -> None:
    phone = token_of("order")

    async def scene() -> None:
        bob = await absent(server, phone)
        order = {"audience": {"user_id": [bob.uid]}, "message": {"title": "Sale", "body": "today", "ext": {"page": 1}}}
        task = order_push(server, "/push/notify", order)["task_id"]

        def counts() -> dict[str, int]:
            [row] = order_push(server, "/push/task/detail", {"list": [task]})
            return {name: row[f"fcm_{name}"] for name in ("target", "sent", "received")}

        await asyncio.to_thread(
            until, "it is counted", lambda: counts() == {"target": 1, "sent": 1, "received": 0}, PATIENCE_S
        )
        assert google.texts(phone) == ["today"]

    run(scene)


def order_push(server: Cluster, path: str, body: dict[str, Any]) -> Any:
    headers = {"app_id": "lanying", "access-token": server.admin_token, "content-type": "application/json"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        envelope = json.loads(answer.read())
    assert envelope["code"] == 200, envelope
    return envelope["data"]


def test_what_is_owed_is_sent_after_a_restart_of_the_server(server: Cluster, google: Google) -> None:
    async def scene() -> None:
        phone = token_of("restart")
        alice, _ = await person(server)
        bob = await absent(server, phone)
        google.answers[phone] = [(503, {})] * 1000
        await alice.send_text(bob.uid, "hello")
        await eventually("Google was asked", lambda: google.texts(phone), PATIENCE_S, server.log)
        await alice.close()
        assert await asyncio.to_thread(server.stop) == 0
        google.answers[phone].clear()
        before = len(google.texts(phone))
        await asyncio.to_thread(server.start)
        assert ready(server), "with a notifier the push process is there from the start"
        await eventually("Google took it", lambda: len(google.texts(phone)) > before, PATIENCE_S, server.log)
        await asyncio.to_thread(until, "nothing is owed", lambda: owing(server) == [0, 0], PATIENCE_S)

    run(scene)
