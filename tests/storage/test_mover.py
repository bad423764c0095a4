"""The move of slots a running server was asked for: performed between two runs, settled by the next start after any interruption."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.storage import directory, mover
from lanying.storage.check import verify_data
from lanying.storage.progress import Silent
from lanying.storage.reshard import Reshard
from lanying.supervisor import move
from lanying.supervisor.move import Move
from tests.storage import town
from tests.storage.test_reshard import LATER_MS, Interrupted, interrupted


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, town.Seen]]:
    place = tmp_path_factory.mktemp("built") / "data"
    town.found(place, 2)
    with town.running(place) as sim:
        town.talk(sim, 1)
    seen = town_seen(place)
    return place, seen


@pytest.fixture
def data(built: tuple[Path, dict[str, town.Seen]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(built[0], tmp_path / "data"))


def town_seen(data: Path) -> dict[str, town.Seen]:
    with town.running(data, 2) as sim:
        sim.run()
        return town.state(sim)


def ask(data: Path, wanted: ShardMap) -> None:
    moving = directory.need_map(data).differences(wanted)
    Move("drain shard 1", "local", "shards drain", wanted.shards, wanted.slots, moving, 1, LATER_MS).save(data)


def clock() -> int:
    return LATER_MS + next(ticks)


ticks = itertools.count(1)


def last(data: Path) -> Move:
    found = Move.load(data)
    assert found is not None
    return found


def check(data: Path, built: tuple[Path, dict[str, town.Seen]], tmp_path: Path) -> None:
    assert not [path.name for path in data.iterdir() if "reshard" in path.name or "before" in path.name]
    assert town_seen(data) == built[1]
    assert verify_data(data, tmp_path, Silent())[1] == []


def test_a_move_is_performed_and_says_how_far_it_is(
    data: Path, built: tuple[Path, dict[str, town.Seen]], tmp_path: Path
) -> None:
    wanted = directory.need_map(data).drained(1)
    ask(data, wanted)
    run = RunDirectory(data)
    run.create()
    mover.perform(data, Config(), clock, mover.Teller(run))
    done = last(data)
    assert done.state == move.DONE and "rows were copied" in done.text and done.began_ms < done.ended_ms
    assert move.Step.told(run).step == "verify" and move.Step.told(run).total > 100
    assert directory.need_map(data).slots == wanted.slots
    mover.settle(data, Config(), clock)
    assert last(data) == done, "there is nothing to settle"
    check(data, built, tmp_path)


@pytest.mark.parametrize(
    ("where", "ends"),
    [
        ("delivered", move.INTERRUPTED),
        ("copied", move.INTERRUPTED),
        ("verified", move.INTERRUPTED),
        ("switching", move.DONE),
        ("put away 1", move.DONE),
        ("put in place 0", move.DONE),
        ("map saved", move.DONE),
        ("cleaning", move.DONE),
    ],
)
def test_killed_anywhere_the_next_start_leads_it_to_an_end(
    data: Path, built: tuple[Path, dict[str, town.Seen]], tmp_path: Path, where: str, ends: str
) -> None:
    before = directory.need_map(data)
    wanted = before.drained(1)
    ask(data, wanted)
    with pytest.raises(Interrupted):
        mover.perform(data, Config(), clock, Silent(), interrupted(where))
    assert last(data).state == move.RUNNING
    mover.settle(data, Config(), clock)
    assert last(data).state == ends
    assert directory.need_map(data).slots == (wanted if ends == move.DONE else before).slots
    check(data, built, tmp_path)


def test_asked_for_and_never_begun_is_given_up_and_other_work_is_left_alone(data: Path) -> None:
    with pytest.raises(Interrupted):
        Reshard(data, ShardMap.even(3), Config(), point=interrupted("copied")).run(LATER_MS)
    ask(data, ShardMap.even(2).drained(1))
    mover.settle(data, Config(), clock)
    assert last(data).state == move.INTERRUPTED
    Reshard(data, None, Config()).run(LATER_MS)
    assert directory.need_map(data).shards == 3, "somebody's own resharding goes on"


def test_an_old_unfinished_resharding_makes_room_for_the_move(
    data: Path, built: tuple[Path, dict[str, town.Seen]], tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        Reshard(data, ShardMap.even(3), Config(), point=interrupted("copied")).run(LATER_MS)
    ask(data, ShardMap.even(2).drained(1))
    mover.perform(data, Config(), clock, Silent())
    assert last(data).state == move.DONE
    check(data, built, tmp_path)


def test_a_move_that_fails_changes_nothing_and_says_why(
    data: Path, built: tuple[Path, dict[str, town.Seen]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = directory.need_map(data)
    ask(data, before.drained(1))
    with monkeypatch.context() as patch:
        patch.setattr(directory, "free_bytes", lambda path: 1000)
        mover.perform(data, Config(), clock, Silent())
    assert last(data).state == move.FAILED and "make room" in last(data).text

    def broken(name: str) -> None:
        if name == "copied":
            raise OSError(5, "the disk is gone")

    ask(data, before.drained(1))
    mover.perform(data, Config(), clock, Silent(), broken)
    assert last(data).state == move.FAILED and "all data is where it was" in last(data).text
    assert directory.need_map(data) == before
    check(data, built, tmp_path)


def test_a_damaged_record_is_no_record(data: Path) -> None:
    (data / move.FILE_NAME).write_bytes(b"{")
    assert Move.load(data) is None
    mover.settle(data, Config(), clock)
