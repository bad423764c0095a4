"""ARCHITECTURE.md says what is there: the layers are those of the contracts, and the files of a path are named."""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import lanying
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.testing.simulation import Simulation

ROOT = Path(lanying.__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
ROOMS = re.compile(r"lanying/shard/(?:chat|groups|push)/\w+\.py$")
"""Rooms of a shard where a path leaves the one of a 1:1 message."""


def test_the_layers_are_those_of_the_contract():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    checked = contracts["importlinter:contract:layers"]["layers"].split("\n")
    section = PAGE[PAGE.index("## Layers") :]
    assert re.search(r"```\n(.*?)```", section, re.DOTALL)[1].split() == " ".join(checked).split()


def files(act: Callable[[], object]) -> set[str]:
    """Files of the rooms in which functions run."""
    found: set[str] = set()

    def called(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            found.add(str(path.relative_to(ROOT)))

    sys.setprofile(called)
    try:
        act()
    finally:
        sys.setprofile(None)
    return {path for path in found if ROOMS.match(path)}


@pytest.mark.parametrize("path", ["group", "recall"])
def test_every_file_of_a_path_is_named(path):
    sim = Simulation(2)
    users = [sim.user(f"user{number}") for number in range(4)]
    phones = [user.device() for user in users]
    gid = sim.group(*users)
    sender, peer = phones[0], users[1]
    mid = sender.acknowledged[sender.send(peer, "first contact")]

    def act() -> None:
        if path == "group":
            sender.send(gid, "hello", type=MessageBody.GROUPCHAT)
        else:
            sender.operate(peer, MessageOperation.RECALL, mid, peer.uid)

    ran = files(act)
    assert len(ran) > 5
    assert sorted(file for file in ran if f"`{file}`" not in PAGE) == []
