"""How many files a reader opens to follow a message between two people on two shards, and that ARCHITECTURE.md names them.

Two runners with their stores, bus and sockets in one loop; the profiler says in which files functions run.
"""

import asyncio
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from websockets import frames as websocket

import lanying
from lanying.base import limits
from lanying.bus.handoff.records import Login
from lanying.cluster.directory import Directory
from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.protocol import frame
from lanying.protocol.connection import XSYNC, Connection
from lanying.protocol.frame import parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, MessageBody, Meta, Notice, SyncDL
from lanying.shard.accounts import accounts
from lanying.shard.runner import Runner
from lanying.shard.store.rocks import RocksStore
from lanying.testing.poll import PATIENCE_S

ROOT = Path(lanying.__file__).parents[1]
MOST_FILES = 15
"""Fewer are better. The ground (``lanying/base``: clocks, rates, ids, figures) is not counted: its names say what it does."""
MESSAGES = 20


class Client:
    """A device on one end of a socket pair; pulls what it is told of, like the web SDK.

    Its WebSocket is another implementation: what runs of ours belongs to the server.
    """

    def __init__(self, runner: Runner, uid: int, epoch: int) -> None:
        self.socket, served = socket.socketpair()
        self.socket.setblocking(False)
        served.setblocking(False)
        self._unread = b""
        self.uid = uid
        self.metas: list[Meta] = []
        self.acknowledged: set[int] = set()
        login = Login(
            kind=XSYNC, app="lanying", uid=uid, epoch=epoch, guid="first", os_type=6, info="", address="", leftover=b""
        )
        runner.turn()
        session = runner.shard.admit(served.detach(), Connection(XSYNC), login)
        runner.sockets.adopt(session, b"")
        runner.end_turn()
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._readable)
        self.put(frame.unread_request())

    def put(self, data: bytes) -> None:
        self.socket.send(websocket.Frame(websocket.Opcode.BINARY, data).serialize(mask=True))

    def _frames(self) -> Iterator[bytes]:
        self._unread += self.socket.recv(65536)
        while len(self._unread) > 2:
            assert self._unread[0] == 0x82 and self._unread[1] < 127, "short binary messages, unmasked"
            start = 2 if self._unread[1] < 126 else 4
            end = start + (self._unread[1] if start == 2 else int.from_bytes(self._unread[2:4], "big"))
            if len(self._unread) < end:
                return
            yield self._unread[start:end]
            self._unread = self._unread[end:]

    def _readable(self) -> None:
        for data in self._frames():
            command, payload = parse_frame(data)
            if command == Frame.NOTICE:
                self.put(frame.sync_pull(Notice.FromString(payload).xid.uid))
            elif command == Frame.SYNC:
                sync = SyncDL.FromString(payload)
                self.metas += sync.metas
                if sync.client_mid:
                    self.acknowledged.add(sync.client_mid)
                if sync.next_key:
                    self.put(frame.sync_pull(sync.xid.uid, sync.next_key))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()


async def until(named: str, condition) -> None:
    """Wait for a condition, at most as long as all tests do."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {PATIENCE_S} s: {named}"
        await asyncio.sleep(0)


async def talk(data: Path):
    """Files of the product in which functions ran for most messages from Alice to Bob; and what to call behind the loop."""
    shard_map = ShardMap.even(2)
    run = RunDirectory(data)
    run.create()
    directory = Directory(shard_map, run, lambda: shard_map)
    loop = asyncio.get_running_loop()
    stores = [RocksStore(data / f"shard-{index}") for index in range(2)]
    ended: list[int] = []
    runners = [Runner(index, directory, Config(), stores[index], ended.append) for index in range(2)]
    for runner in runners:
        runner.start(loop)
    people = []
    for index, runner in enumerate(runners):
        name = next(f"user{n}" for n in range(1000) if shard_map.shard_of_name("lanying", f"user{n}") == index)
        runner.turn()
        uid = accounts.claim(runner.shard.work, "lanying", name, "hash").uid
        runner.end_turn()
        people.append(Client(runner, uid, accounts.load(runner.shard.work.store, uid).info.epoch))
    alice, bob = people
    times: Counter[str] = Counter()
    seen: set[str] = set()
    root = f"{ROOT}/lanying/"

    def called(at, event, _):
        if event == "call" and at.f_code.co_filename.startswith(root):
            seen.add(at.f_code.co_filename.removeprefix(f"{ROOT}/"))

    async def write(number: int) -> None:
        payload = MessageBody(type=MessageBody.CHAT, content=f"hello {number}").SerializeToString()
        before = len(bob.metas)
        alice.put(frame.send_meta(number, alice.uid, 1, bob.uid, 0, Meta.MESSAGE, payload))
        await until(f"message {number} acknowledged", lambda: number in alice.acknowledged)
        await until(f"message {number} at Bob's device", lambda: len(bob.metas) > before)

    await write(1)  # the first contact asks the other shard first
    sys.setprofile(called)
    try:
        for number in range(2, 2 + MESSAGES):
            seen.clear()
            await write(number)
            times.update(seen)
    finally:
        sys.setprofile(None)
    for client in people:
        client.close()
    for runner in runners:
        runner.drain()
    await until("both shards drained", lambda: len(ended) == len(runners))
    assert ended == [0, 0]
    # Once a second there is upkeep as well: it is not the path.
    return [file for file, count in times.items() if count > MESSAGES // 2], [
        close for runner, store in zip(runners, stores, strict=True) for close in (runner.close, store.close)
    ]


def test_the_files_of_a_message_are_few_and_architecture_md_names_them(tmp_path, monkeypatch):
    # What takes long is noted as well, in another file: on a busy machine that is every message.
    monkeypatch.setattr(limits, "SLOW_S", PATIENCE_S)
    monkeypatch.setattr(limits, "COSTLY_S", PATIENCE_S)
    with asyncio.Runner() as loop:
        seen, closing = loop.run(talk(tmp_path))
    for close in closing:
        close()
    files = [file for file in seen if not file.startswith("lanying/base/")]
    assert len(files) <= MOST_FILES, "\n".join(files)
    path = (ROOT / "ARCHITECTURE.md").read_text().split("## The path of a message")[1].split("\n## ")[0]
    named = set(re.findall(r"`(lanying/[\w/]+\.py)`", path))
    assert not set(files) - named, "the path of a message in ARCHITECTURE.md does not name these"
