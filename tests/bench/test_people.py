"""Who writes to whom, dealt to workers; tables of runs; commands in the docs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

from bench import results, tables
from bench.cli import cli
from bench.host import Host, Target
from bench.options import EXIT_CODES
from bench.people import OneGroup, Pairs, People, School

UIDS = list(range(1000, 1090))
TOKENS = {uid: f"token {uid}" for uid in UIDS}


class FoundingHost(Host):
    """Only founds groups."""

    def __init__(self) -> None:
        super().__init__(Target(), len(UIDS))
        self.groups: dict[int, list[int]] = {}

    def found_group(self, name: str, members: list[int]) -> int:  # type: ignore[override]
        self.groups[5000 + len(self.groups)] = list(members)
        return 5000 + len(self.groups) - 1


def test_pairs_write_to_each_other_and_live_together() -> None:
    people = Pairs("any").arrange(FoundingHost(), UIDS[:5], 2, random.Random(1))
    dealt, audience = people.deal({uid: TOKENS[uid] for uid in UIDS[:5]}, 2)
    assert [len(members) for members in dealt] == [3, 2]
    for members in dealt:
        known = {member.index for member in members}
        for member in members:
            for route in member.routes:
                assert set(audience[route.stream]) <= known and route.copies == 1
    assert sum(len(member.routes) for members in dealt for member in members) == 4


def test_a_group_has_a_probe_in_every_worker_that_does_not_write() -> None:
    host = FoundingHost()
    dealt, audience = OneGroup(4).arrange(host, UIDS, 3, random.Random(1)).deal(TOKENS, 3)
    assert host.groups == {5000: UIDS}
    for members in dealt:
        probes = [member for member in members if member.probe]
        assert len(probes) == 1 and not probes[0].routes
    routes = [(member.index, route) for members in dealt for member in members for route in member.routes]
    assert len(routes) == 4
    for index, route in routes:
        assert route.to == 5000 and route.group and route.copies == 89
        assert set(audience[route.stream]) == set(range(90)) - {index}


def test_everybody_at_school_has_a_friend_a_class_and_pictures() -> None:
    host = FoundingHost()
    dealt, audience = School(40).arrange(host, UIDS, 2, random.Random(1)).deal(TOKENS, 2)
    assert sorted(map(len, host.groups.values())) == [10, 40, 40]
    streams = [route.stream for members in dealt for member in members for route in member.routes]
    assert sorted(streams) == list(range(270)) and set(audience) == set(streams)
    for members in dealt:
        for member in members:
            friend, lesson, picture = member.routes
            assert not friend.group and lesson.group and picture.picture and lesson.to == picture.to
            assert member.uid in host.groups[lesson.to] and member.index not in audience[lesson.stream]


def test_runs_as_markdown() -> None:
    run = results.Run("chat", {"users": 4000, "rate": 1000.0, "durability": "fsync"})
    run.figures |= {"messages_per_s": 1000.0, "cpu_us_per_message": 55.5}
    run.verdict = results.Verdict(sent=3, acknowledged=3, received=2, lost=1)
    other = results.Run("idle", {"users": 10}, figures={"pss_per_session": 2048.0})
    text = tables.markdown([run.record(), other.record()]).splitlines()
    assert text[0].startswith("| Run | Messages/s | CPU µs/message | Bytes/session |") and "CPU µs/copy" not in text[0]
    assert text[2].startswith("| chat, 4,000 users, 1000/s | 1,000 | 55.5 |  | 1 / 0 / 0 |")
    assert len({line.count("|") for line in text}) == 1 and "2.00 KiB" in text[3]


def test_every_command_and_exit_code_has_its_line_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    for name in cast(dict[str, object], cli.commands):
        assert f"`lanying-bench {name}" in text or f"| `{name}" in text, f"docs/benchmarks.md has no line on {name}"
    for code in EXIT_CODES:
        assert f"| {code} |" in text


def test_a_seat_is_kept_for_those_who_stay() -> None:
    people = People(units=[(1, 2), (3,), (4,), (5,)], seats={1: 0, 3: 1, 4: 1, 5: 1})
    dealt, _ = people.deal(dict.fromkeys(range(1, 6), ""), 2)
    assert [[member.uid for member in members] for members in dealt] == [[1, 2], [3, 4, 5]]
