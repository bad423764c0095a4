"""REST on a real server: revocation reaches open sockets, codes outlive a gateway, a shard that stands still is a 503."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from lanying.cluster.shardmap import ShardMap
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import Frame, Status
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S, until
from lanying.testing.raw import RawClient

PASSWORD = "correct-horse1"
CALL_LIMIT_MS = 900
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(
        tmp_path_factory.mktemp("rest"), shards=2, rest_call_timeout_ms=CALL_LIMIT_MS, log_level="debug"
    ) as found:
        yield found


class Person:
    """Somebody with an account and an HTTP connection."""

    def __init__(self, server: Cluster) -> None:
        self.server = server
        self.name = f"person_{next(_numbers)}"
        self.http = httpx.Client(base_url=server.url, headers={"app_id": "lanying"}, timeout=PATIENCE_S)
        self.uid = self.data("POST", "/user/register/v2", username=self.name, password=PASSWORD)["user_id"]
        self.token = self.data("POST", "/token/user", name=self.name, password=PASSWORD)["token"]
        self.http.headers["access-token"] = self.token

    def envelope(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """An answer; a busy test machine may keep a shard from answering in time, so a 503 is asked again."""

        def ask() -> dict[str, Any] | None:
            found: dict[str, Any] = self.http.request(method, path, json=body, headers=headers).json()
            return None if found["code"] == 503 else found

        return until(f"an answer of {path}", ask)

    def data(self, method: str, path: str, **body: Any) -> Any:
        found = self.envelope(method, path, **body)
        assert found["code"] == 200, found
        return found["data"]

    def admin(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        headers = {"access-token": self.server.admin_token, "user_id": str(self.uid)}
        return self.envelope(method, path, headers, **body)

    def connect(self) -> tuple[RawClient, Any]:
        """A socket, and the status of its login."""
        client = RawClient(self.server.url)
        client.put(frame.provision(self.uid, self.token, "guid"))
        command, answer = client.get()
        assert command == Frame.PROVISION
        return client, answer.status.code


WAYS = {
    "kick": lambda person: person.envelope("POST", "/user/kick"),
    "password": lambda person: person.envelope(
        "POST", "/user/change_password", old_password=PASSWORD, new_password="another-horse1"
    ),
    "password by admin": lambda person: person.admin("POST", "/user/change_password_admin", password="another-horse1"),
    "ban": lambda person: person.admin("PUT", "/user/disable", list=[person.uid]),
    "deletion": lambda person: person.envelope("POST", "/user/delete", password=PASSWORD),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_revoked_token_ends_its_open_socket(server: Cluster, way: str) -> None:
    person = Person(server)
    client, status = person.connect()
    assert status == Status.OK
    answer = WAYS[way](person)
    assert answer["code"] == 200, answer
    client.socket.settimeout(PATIENCE_S)
    with pytest.raises(EOFError):
        while True:
            client.get()
    assert person.envelope("GET", "/user/profile")["code"] == 402
    assert person.connect()[1] != Status.OK


def test_codes_outlive_a_gateway(server: Cluster) -> None:
    person = Person(server)
    code = person.data("POST", "/app/secret_info", secret_text="hidden", expire_seconds=600)["code"]
    server.wait_ready("gateway", server.kill("gateway"))
    found = until("the gateway answers", lambda: _get(server, f"/app/secret_info?code={code}"))
    assert found["data"] == {"secret_text": "hidden"}


def test_a_shard_that_stands_still_is_a_503_and_no_hang(server: Cluster) -> None:
    people = [Person(server) for _ in range(12)]
    shard_map = ShardMap.load(server.data)
    assert shard_map is not None
    stopped, alive = ({shard_map.shard_of(person.uid): person for person in people}[shard] for shard in (0, 1))
    server.kill("shard-0", signal.SIGSTOP)
    try:
        took = []
        for _ in range(3):
            started = time.monotonic()
            found = stopped.http.get("/user/profile").json()
            took.append(time.monotonic() - started)
            assert found["code"] == 503, found
            assert "try again" in found["message"]
        assert min(took) < 5 * CALL_LIMIT_MS / 1000, took
        assert alive.data("GET", "/user/profile")["user_id"] == alive.uid
    finally:
        server.kill("shard-0", signal.SIGCONT)
    assert stopped.data("GET", "/user/profile")["user_id"] == stopped.uid


def _get(server: Cluster, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = httpx.get(server.url + path, headers={"app_id": "lanying"}).json()
    except httpx.HTTPError:
        return None
    return found if found["code"] == 200 else None


def test_the_id_of_a_request_is_in_the_log_of_every_process_that_worked_on_it(server: Cluster) -> None:
    person = Person(server)
    answer = person.http.get("/user/profile", headers={"x-request-id": "trace-me-1"})
    assert answer.json()["code"] == 200
    assert answer.headers["x-request-id"] == "trace-me-1"
    shard = f"shard-{ShardMap.even(2).shard_of(person.uid)}"

    def lines() -> set[str]:
        found = [line.split() for line in server.log_file.read_text().splitlines() if "request=trace-me-1" in line]
        return {f"{process} {event}" for _, _, process, _, event, *_ in found}

    wanted = {"gateway event=request", f"{shard} event=call"}
    until("gateway and shard name the request", lambda: wanted <= lines(), 10, server.log)
    made = person.http.get("/user/profile", headers={"x-request-id": "two words"}).headers["x-request-id"]
    assert made != "two words", "it would break the line"
