"""Metrics and log lines of a live server."""

import asyncio
import re
import secrets

import httpx
import msgspec

from lanying.base.figures import Figure
from lanying.client import Client
from lanying.cluster.shardmap import ShardMap
from lanying.gateway.http.metrics import HISTOGRAMS, LABELS
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Status
from lanying.protocol.websocket import TEXT, encode_frame
from lanying.supervisor.answers import ProcessStatus
from lanying.testing.poll import until
from lanying.testing.raw import RawClient, rest

PASSWORD = "correct-horse1"


def page(server):
    return httpx.get(server.status()["metrics_url"]).text


def test_the_metrics_page_has_every_process_and_what_happened(server):
    body = {"username": f"alice_{secrets.token_hex(4)}", "password": PASSWORD}
    assert httpx.post(f"{server.url}/user/register/v2", json=body, headers={"app_id": "lanying"}).json()["code"] == 200
    for process in ("shard-0", "shard-1", "gateway", "admin", "router"):
        assert f'lanying_up{{process="{process}"}} 1.0' in page(server), process
    assert 'lanying_tick_seconds_bucket{le="+Inf",process="shard-0"}' in page(server)
    for shard in ("shard-0", "shard-1"):
        free = re.search(rf'lanying_disk_free_bytes{{place="data",process="{shard}"}} (\S+)', page(server))
        least = re.search(rf'lanying_min_free_bytes{{process="{shard}"}} (\S+)', page(server))
        assert free and least and float(free[1]) > float(least[1]) > 0
    assert re.search(r'lanying_rest_requests_total\{code="200",path="/user/register/v2"\} [1-9]', page(server))


def test_every_figure_with_a_label_is_on_the_metrics_page(server):
    assert httpx.get(f"{server.url}/api/health").status_code == 200  # somebody has arrived

    def labelled() -> list[Figure]:
        rows = server.status()["processes"]
        return [one for row in rows for one in msgspec.convert(row, ProcessStatus).counted if one.labels]

    expected = {"messages", "arrivals", "link_depth", "disk_free_bytes"}
    until("every process has reported", lambda: expected <= {one.name for one in labelled()}, saw=labelled)
    figures = labelled()
    named = {one.name for one in figures} - HISTOGRAMS.keys()
    assert named <= LABELS.keys(), "a figure whose label the page does not know is left out"
    for one in figures:
        if one.name in named:
            assert (*one.labels,) == LABELS[one.name]
            assert all(f'{label}="{text}"' in page(server) for label, text in one.labels.items()), one


def test_one_line_per_connection_opened_and_closed_and_nothing_per_message(server):
    async def scene():
        async with Client(server.url) as carol:
            name = f"carol_{secrets.token_hex(4)}"
            await carol.register(name, PASSWORD)
            await carol.login(name, PASSWORD)
            for _ in range(3):
                await carol.send_text(carol.uid, "the-secret-text")
            return carol.uid

    uid = asyncio.run(scene())

    def about():
        return [line for line in server.log_file.read_text().splitlines() if f"uid={uid}" in line]

    until("both lines are there", lambda: len(about()) == 2, saw=about)
    assert "event=opened" in about()[0] and "event=closed" in about()[1] and "reason=client_left" in about()[1]
    log = server.log_file.read_text()
    assert "the-secret-text" not in log and PASSWORD not in log


def test_every_rest_answer_has_an_id(server):
    first, second = (httpx.get(f"{server.url}/app/config", headers={"app_id": "lanying"}) for _ in range(2))
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_the_log_says_why_a_session_ended(server, console):
    name = f"dave_{secrets.token_hex(4)}"
    uid = console.run("users create", {"username": name, "password": PASSWORD}).value["uid"]

    def log_in(guid="one"):
        token = rest(server.url, "/token/user", {"name": name, "password": PASSWORD})["token"]
        device = RawClient(server.url)
        device.put(frame.provision(uid, token, guid))
        assert device.get()[1].status.code == Status.OK
        return device

    def reasons():
        lines = [line for line in server.log_file.read_text().splitlines() if f"event=closed uid={uid} " in line]
        return [line.partition("reason=")[2] for line in lines]

    ends = {
        "disconnected": lambda device: device.socket.close(),
        "connection_lost": lambda device: device.reset(),
        "protocol_error": lambda device: device.socket.sendall(encode_frame(TEXT, b"hello", True)),
        "kicked": lambda device: console.run("users kick", {"user": name}),
        "kicked_frozen": lambda device: console.run("users ban", {"user": name}),
        "shutdown": lambda device: console.run(
            "shards restart", {"shard": ShardMap.load(server.data).shard_of(uid)}, timeout_s=60
        ),
    }
    for count, (why, end) in enumerate(ends.items(), 1):
        console.run("users restore", {"user": name})
        device = log_in()
        end(device)
        until(f"it is logged: {why}", lambda count=count: len(reasons()) == count, saw=reasons)
        device.socket.close()
    assert reasons() == [*ends]
    first, again = log_in("two"), log_in("two")
    until("the first is replaced", lambda: reasons()[-1] == "replaced", saw=reasons)
    for device in (first, again):
        device.socket.close()
