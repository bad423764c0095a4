"""Every script in this folder, on simulated shards; with ``-m slow`` also on a server of four shards that socket.io-client and
protobufjs talk to (:mod:`lanying.testing.playbook` says how they read)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanying.testing.cluster import Cluster
from lanying.testing.playbook import Playbook
from tests.compat.test_node import MISSING
from tests.playbooks.stages import NodeStage, SimulatedStage

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
EVERYWHERE = [script for script in SCRIPTS if script.stem in ("group_life",)]
"""Played with the web libraries in every run."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_simulated(script: Path) -> None:
    stage = SimulatedStage()
    try:
        Playbook(stage).play(script.read_text())
    finally:
        stage.close()


def play(cluster: Cluster, script: Path) -> None:
    if MISSING and os.environ.get("CI") != "true":
        pytest.skip(MISSING)
    assert not MISSING, MISSING
    stage = NodeStage(cluster)
    try:
        Playbook(stage, f"{script.stem}_").play(script.read_text())
    finally:
        stage.close()


@pytest.mark.parametrize("script", EVERYWHERE, ids=lambda script: script.stem)
def test_web_libraries(cluster: Cluster, script: Path) -> None:
    play(cluster, script)


@pytest.fixture(scope="module")
def four_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("four"), shards=4) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_web_libraries_on_four_shards(four_shards: Cluster, script: Path) -> None:
    play(four_shards, script)
