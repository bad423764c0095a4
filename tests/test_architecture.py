"""ARCHITECTURE.md says what is there: the layers are those of the contracts, and the files of a path are named."""

from __future__ import annotations

import asyncio
import configparser
import re
import sys
from pathlib import Path
from types import FrameType

import pytest

import lanying
from lanying.base.clock import wall_ms
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.testing.simulation import Simulation
from tests.gateway.conftest import Gateway
from tests.gateway.messages.test_messages import Town
from tests.push.test_service import Stage

ROOT = Path(lanying.__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
DOUBLES = ("lanying/shard/store/memory.py", "lanying/cluster/shardmap.py")
"""What a simulation stores in, and routes by."""


def test_the_layers_are_those_of_the_contract():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    checked = contracts["importlinter:contract:layers"]["layers"].split("\n")
    section = PAGE[PAGE.index("## Layers") :]
    assert re.search(r"```\n(.*?)```", section, re.DOTALL)[1].split() == " ".join(checked).split()


def named(*titles: str) -> set[str]:
    """Files and packages that the sections with these titles name."""
    found: set[str] = set()
    for title in titles:
        begin = PAGE.index(title)
        end = min(at for at in (PAGE.find(mark, begin + len(title)) for mark in ("\n## ", "\n**A ")) if at > 0)
        found |= set(re.findall(r"`(lanying/[\w/.]+)`", PAGE[begin:end]))
    return found


class Files:
    """Files of the product in which functions run meanwhile, but for the ground and what only tests have."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def __enter__(self) -> set[str]:
        sys.setprofile(self._called)
        return self.found

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            path = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
            if path.startswith("lanying/") and not path.startswith(("lanying/base/", "lanying/testing/", *DOUBLES)):
                self.found.add(path)


def group() -> set[str]:
    sim = Simulation(2)
    users = [sim.user(f"user{number}") for number in range(4)]
    phones = [user.device() for user in users]
    gid = sim.group(*users)
    phones[0].send(gid, "the first", type=MessageBody.GROUPCHAT)
    with Files() as found:
        phones[0].send(gid, "hello", type=MessageBody.GROUPCHAT)
    return found


def recall() -> set[str]:
    sim = Simulation(2)
    alice, bob = (sim.user(name).device() for name in ("alice", "bob"))
    mid = alice.acknowledged[alice.send(bob.user, "oops")]
    with Files() as found:
        alice.operate(bob.user, MessageOperation.RECALL, mid, bob.user.uid)
    return found


def rest() -> set[str]:
    gateway = Gateway()
    try:
        town = Town(gateway)
        town.send("alice", "bob")
        with Files() as found:
            town.send("alice", "bob")
    finally:
        gateway.close()
    return found


def push(directory: Path) -> set[str]:
    async def whole() -> set[str]:
        stage = Stage(directory, wall_ms())
        stage.service.start()
        bob, alice = stage.absent("bob", "phone"), stage.sim.user("alice").device()
        stage.write(alice, bob)
        await stage.done()
        with Files() as found:
            stage.write(alice, bob)
            await stage.done()
        await stage.service.drain(0)
        return found

    return asyncio.run(whole())


@pytest.mark.parametrize("title", ["to a group", "over REST", "recall", "push"])
def test_every_file_of_a_path_is_named(title: str, tmp_path: Path) -> None:
    """Of its own section, or on the path of a message, which it leaves and comes back to."""
    paths = {"to a group": group, "over REST": rest, "recall": recall, "push": lambda: push(tmp_path)}
    ran = paths[title]()
    assert len(ran) > 15
    own = next(heading for heading in re.findall(r"\*\*A .+?\.\*\*", PAGE) if title in heading)
    known = named("## The path of a message", own)
    packages = tuple(name for name in known if name.endswith("/"))
    assert sorted(file for file in ran - known if not file.startswith(packages or "?")) == []


def test_every_file_that_is_named_is_there() -> None:
    assert sorted(name for name in re.findall(r"`(lanying/[\w/.]+)`", PAGE) if not (ROOT / name).exists()) == []
