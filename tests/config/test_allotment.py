from __future__ import annotations

import itertools
import re
from pathlib import Path

import msgspec
import pytest

from lanying.base import limits
from lanying.config.allotment import Allotment, Machine, allot, allot_start, nominal_mb
from lanying.config.load import load
from lanying.config.schema import Config, LimitsSettings

SIZES = (128, 256, 430, 512, 906, 1024, 1850, 2048, 3800, 7900, 16_000, 24_105, 64_000, 512_000)


def test_memory_is_counted_as_it_is_sold() -> None:
    assert [nominal_mb(found) for found in (426, 906, 1850, 3790, 7800, 16_000)] == [
        512,
        1024,
        2048,
        4096,
        8192,
        16_384,
    ]
    assert nominal_mb(1000) == 1024
    assert nominal_mb(768) == 512, "a limit of a control group is not rounded up by much"


def test_a_server_of_two_gigabytes_has_the_limits_that_are_documented() -> None:
    found = allot(Machine(2048, 4), 2)
    assert found == Allotment()


@pytest.mark.parametrize("shards", [1, 2, 4, 16, 160])
def test_more_memory_never_gives_less(shards: int) -> None:
    found = [msgspec.structs.astuple(allot(Machine(size, 4), shards)) for size in SIZES]
    for smaller, larger in itertools.pairwise(found):
        assert all(less <= more for less, more in zip(smaller, larger, strict=True))


@pytest.mark.parametrize("size", [size for size in SIZES if size >= 430])
def test_what_all_of_it_takes_at_the_worst_leaves_the_machine_running(size: int) -> None:
    """Shards as in the profiles of boards: as many as cores, two with 512 MB."""
    shards = 2 if size < 900 else 4
    assert allot(Machine(size, 4), shards).worst_mb(shards, 19_456) < 0.5 * size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cores", [1, 2, 4, 64])
def test_every_limit_can_be_worked_with(size: int, cores: int) -> None:
    found = allot(Machine(size, cores), cores)
    assert min(msgspec.structs.astuple(found)) >= 1
    assert found.unsent_bytes >= 2 * limits.OUT_USER_BYTES, "one user is not all"
    assert limits.REST_BODY_BYTES <= found.rest_bodies_bytes_per_peer <= found.rest_bodies_bytes
    assert limits.UPLOADS_PER_USER < found.uploads_per_peer < found.uploads
    assert found.waiting_per_peer < found.waiting_connections
    assert found.rest_connections_per_peer < found.rest_connections
    assert found.password_threads <= max(2, cores)


def test_what_is_set_is_taken_as_it_is_and_the_rest_is_computed() -> None:
    small = Machine(512, 4)
    found = allot(small, 2, LimitsSettings(uploads=7, unsent_mb=500))
    assert (found.uploads, found.unsent_mb) == (7, 500)
    assert found.rest_bodies_mb == allot(small, 2).rest_bodies_mb


def test_tiny_settings_make_no_process_fail() -> None:
    ones = LimitsSettings(*[1] * len(LimitsSettings.__struct_fields__))
    found = allot(Machine(1024, 4), 2, ones)
    assert (found.waiting_per_peer, found.rest_connections_per_peer, found.uploads_per_peer) == (1, 1, 1)
    assert found.rest_bodies_bytes_per_peer == limits.REST_BODY_BYTES


def test_settings_and_what_is_computed_have_the_same_names() -> None:
    assert LimitsSettings.__struct_fields__ == Allotment.__struct_fields__


def test_a_start_takes_them_from_its_configuration() -> None:
    config = load(environment={"LANYING_LIMITS_UPLOADS": "40", "LANYING_SHARDS": "2"})
    assert allot_start(config, Machine(1024, 4)).uploads == 40
    assert allot_start(Config(), Machine(1024, 4)).unsent_mb == 16, "as many shards as cores"


BOARDS = (
    (430, 4, 2, "zero2w"),
    (906, 4, 4, "pi3"),
    (1850, 4, 4, ""),
    (3800, 4, 4, "pi4"),
    (7900, 4, 4, "pi5"),
    (16_000, 8, 8, ""),
)


def test_the_table_of_the_page_about_security_is_true() -> None:
    page = (Path(__file__).parents[2] / "docs/security.md").read_text()
    rows = {
        cells[0].strip(" `").partition("`")[0]: [int(cell.replace(",", "")) for cell in cells[1:]]
        for line in page.partition("## What a machine gives")[2].partition("## ")[0].splitlines()
        if (cells := line.strip("| ").split("|")) and re.fullmatch(r"[ \d,]+", "".join(cells[1:]) or "x")
    }
    found = [allot(Machine(memory, cores), shards) for memory, cores, shards, _ in BOARDS]
    for name in Allotment.__struct_fields__:
        assert rows.pop(name) == [getattr(one, name) for one in found], name
    [worst] = rows.values()
    hashes = [load(environment={}, profile=profile or None).accounts.argon2_memory_kib for *_, profile in BOARDS]
    assert worst == [one.worst_mb(board[2], kib) for one, board, kib in zip(found, BOARDS, hashes, strict=True)]
