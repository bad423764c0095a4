"""Tags by area, and results that are part of a call's type."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lanying.bus import messages as m
from lanying.bus.messages.base import AREAS, kinds, result_type
from lanying.shard.core.links import bundles

TAGGED = list(dict.fromkeys(kinds(m.Message)))
STORED = {"Deliver": 20, "NoticeFor": 21, "RosterChange": 22, "Barred": 23, "Seat": 30, "Unseat": 31, "GroupDeliver": 32,
          "Invited": 33, "GroupReading": 220, "GroupRead": 221, "Silence": 222, "Resign": 223, "GroupPost": 224,
          "GroupPosted": 225, "Broadcast": 320,
          "PushTokenBound": 379, "PushTargets": 274, "OrderPushes": 378}  # fmt: skip

WRONG = """
from lanying.bus.messages import FindName, GetGroups, GroupView, Kick, ListJobs
from lanying.bus.messages.base import answers
from lanying.bus.shards import Shards, ask, ask_name


async def right(shards: Shards) -> list[GroupView]:
    number: int = await ask_name(shards, "app", "name", FindName("app", "name"))
    return await ask(shards, number, GetGroups(number, "app", [1]))


async def wrong(shards: Shards) -> str:
    return await ask(shards, 1, GetGroups(1, "app", [1]))  # wrong


async def not_for_shards(shards: Shards) -> None:
    await ask(shards, 1, ListJobs())  # wrong


def count(request: Kick) -> int:
    return 1


def text(request: Kick) -> str:
    return ""


def nothing(request: Kick) -> None:
    pass


answers(Kick)(count)
answers(Kick)(text)  # wrong
answers(Kick)(nothing)  # wrong
"""


def test_a_tag_belongs_to_one_class() -> None:
    found: dict[object, str] = {}
    for kind in TAGGED:
        tag = kind.__struct_config__.tag
        assert tag not in found, f"{kind.__name__} has the tag of {found[tag]}"
        found[tag] = kind.__name__


def test_the_ranges_of_areas_do_not_overlap() -> None:
    numbers = [tag for ranges in AREAS.values() for one in ranges for tag in one]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("kind", TAGGED, ids=lambda kind: kind.__name__)
def test_a_tag_is_in_the_range_of_its_area(kind: type[m.Message]) -> None:
    area = kind.__module__.rpartition(".")[2]
    assert any(kind.__struct_config__.tag in one for one in AREAS[area])


def test_tags_in_stored_rows_never_change() -> None:
    assert {kind.__name__: kind.__struct_config__.tag for kind in TAGGED if kind.__name__ in STORED} == STORED
    assert {kind.__name__ for kind in kinds(m.LinkMessage)} <= STORED.keys()


def test_every_call_names_its_result() -> None:
    for kind in kinds(m.Question):
        assert result_type(kind) is not Any, kind.__name__


def test_an_answer_is_decoded_as_the_call_says() -> None:
    page = m.HistoryPage([b"meta"], 7)
    assert m.decode_result(m.GetPage(1, 2, 0, 10), m.encode(page)) == page
    assert m.decode_result(m.LeaveGroup(1, 2, "app", 0), m.encode(True)) is True
    assert m.decode_result(m.GetFile(1, 2), m.encode(None)) is None


def test_bundles_are_arrays_of_the_items_unparsed() -> None:
    items = [m.encode(m.Unseat(uid, 2)) for uid in range(40)]
    [bundle] = bundles(items)
    assert m.decode_bundle(bundle) == [m.Unseat(uid, 2) for uid in range(40)]


def test_a_wrong_result_type_is_a_type_error(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "mypy", "--config-file", root / "pyproject.toml", tmp_path / "wrong.py"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    wrong = {number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}
    assert {int(number) for number in re.findall(r"wrong\.py:(\d+): error", found.stdout)} == wrong, found.stdout


def test_states_stay_what_stored_rows_and_other_releases_call_them() -> None:
    assert [*m.JobState] == ["running", "done", "failed", "cancelled"]
    assert [*m.EntryState] == ["kept", "cold", "cold missing", "removed"]
    row = m.encode(["lanying", 1, "done"])
    assert msgspec.msgpack.decode(row, type=tuple[str, int, m.JobState])[2] is m.JobState.DONE
