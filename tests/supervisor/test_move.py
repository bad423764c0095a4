"""The record of a move of slots, and how long the next one takes."""

import pytest

from lanying.cluster.runtime import RunDirectory
from lanying.cluster.shardmap import ShardMap
from lanying.supervisor import move
from lanying.supervisor.move import Move, Step, estimate

SLOTS = ShardMap.even(3).slots


def made(**changes):
    return Move("to 3", "local", "shards move", 3, SLOTS, 700, 10_000_000, 1_000).become("asked", **changes)


def test_the_record_is_there_again(tmp_path):
    assert Move.load(tmp_path) is None
    asked = made().save(tmp_path)
    assert Move.load(tmp_path) == asked and asked.map == ShardMap.even(3)
    assert not asked.ended and not asked.become(move.RUNNING).ended
    done = asked.become(move.DONE, "5 rows", ended_ms=9)
    assert done.ended and done.row()["percent"] == 100 and done.row()["now"] == "5 rows"


def test_how_far_it_is_is_known_while_the_server_runs(tmp_path):
    run = RunDirectory(tmp_path)
    run.create()
    assert Step.told(run) == Step()
    Step("copy", 5, 10).tell(run)
    assert Step.told(run) == Step("copy", 5, 10)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, (5 + 20, False)),
        (made(), (25, False)),
        (made(began_ms=2_000, ended_ms=7_000).become(move.FAILED, back_ms=9_000), (25, False)),
        (made(began_ms=2_000, ended_ms=2_500, back_ms=9_000).become(move.DONE), (25, False)),
        # 5 s for 10 MB, and 3 s around it
        (made(began_ms=2_000, ended_ms=7_000, back_ms=9_000).become(move.DONE), (10 + 3, True)),
    ],
)
def test_the_next_one_takes_as_long_as_the_last(last, expected):
    assert estimate(last, 20_000_000) == expected
