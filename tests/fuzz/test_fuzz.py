"""Every target, short: its corpus and its seeds as they are, then some thousand inputs by chance from a seed that stays."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.fuzz.mutator import MOST_BYTES, Mutator
from tests.fuzz.runs import CORPUS, Run
from tests.fuzz.source import Source
from tests.fuzz.target import Found, Target
from tests.fuzz.targets import NAMES, target

RUNS = {"stored": 20, "exchanges": 400, "shards": 800, "tokens": 1000, "uploads": 500}
"""Inputs by chance where one takes long."""
SEED = 7


@pytest.mark.parametrize("name", NAMES)
def test_no_input_is_too_much(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # gets what is found
    with Run(name, target(name), RUNS.get(name, 3000)) as run:
        run.replay()
        run.plain(SEED)
        run.end()
    assert run.target.units >= run.count


def test_there_is_a_corpus_of_targets_alone() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} <= {*NAMES}


class Brittle(Target):
    """Breaks by one byte in one place, by another only the second time."""

    renewed_every = 10

    def renew(self) -> None:
        self.armed = False

    def seeds(self) -> list[bytes]:
        return [b"abc"]

    def judge(self, data: bytes) -> None:
        if data[:1] == b"x":
            raise ValueError(data)
        if data[:1] == b"y" and self.armed:
            raise ValueError(data)
        self.armed = data[:1] == b"y"


@pytest.fixture
def brittle(tmp_path, monkeypatch) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    with Run("brittle", Brittle(), 100_000) as run:
        yield run


def test_what_breaks_it_is_found_by_chance_and_kept(brittle, tmp_path) -> None:
    with pytest.raises(Found):
        brittle.plain(SEED)
    [kept, *_] = sorted((tmp_path / "fuzz-found").iterdir())
    assert kept.read_bytes()[:1] in (b"x", b"y")


def test_what_needs_inputs_before_it_is_kept_with_them(brittle, tmp_path) -> None:
    brittle.take(b"a")
    brittle.take(b"y")
    with pytest.raises(Found, match="series"):
        brittle.take(b"y")
    [series] = [one for one in (tmp_path / "fuzz-found").iterdir() if one.is_dir()]
    assert [one.read_bytes() for one in sorted(series.iterdir())] == [b"a", b"y", b"y"]


def test_the_mutator_repeats_itself_by_its_seed_and_keeps_to_its_size() -> None:
    ones, others = (Mutator(random.Random(1), [b"abc" * 2000, b""], [b"word"]) for _ in range(2))
    inputs = [ones.next() for _ in range(500)]
    assert inputs == [others.next() for _ in range(500)]
    assert max(map(len, inputs)) <= MOST_BYTES
    assert any(b"word" in one for one in inputs)


def test_a_source_without_bytes_makes_the_first_choices() -> None:
    source = Source(b"")
    assert (source.number(), source.text(), source.pick("abc"), source.chunk(), source.some(lambda: 1)) == (
        0,
        "",
        "a",
        b"",
        [],
    )


class Slow(Target):
    """Takes its time: on the CPU, or asleep."""

    def judge(self, data: bytes) -> None:
        if data == b"asleep":
            time.sleep(0.06)
        end = time.thread_time() + (0.06 if data == b"busy" else 0.0)
        while time.thread_time() < end:
            pass


def test_an_input_that_keeps_the_processor_is_found_and_one_that_waits_is_not(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.fuzz.target.LONGEST_S", 0.05)
    with Run("slow", Slow(), 10) as run:
        run.take(b"asleep")
        with pytest.raises(Found, match="of CPU"):
            run.take(b"busy")


class Keeping(Target):
    """Keeps what it is given."""

    def renew(self) -> None:
        self.kept: list[bytes] = []

    def judge(self, data: bytes) -> None:
        self.kept.append(b"x" * (1 << 20))


def test_a_run_whose_process_grows_ends(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.fuzz.runs.LOOK_EVERY_S", 0.0)
    with Run("keeping", Keeping(), 200) as run, pytest.raises(Found, match="the process grew from"):
        run.plain(SEED)
