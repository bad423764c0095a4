"""Every released layout opens: people find what they had, and the conversation goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from lanying.shard.store import schema
from lanying.storage.check import verify_data
from lanying.storage.progress import Silent
from tests.storage import fixtures, town

HERE = Path(fixtures.__file__).parent
ARCHIVES = sorted(HERE.glob("schema-*.tar.xz"))


def test_the_layout_of_this_release_is_kept() -> None:
    assert HERE / f"schema-{schema.SCHEMA_VERSION}.tar.xz" in ARCHIVES, (
        "python -m tests.storage.fixtures.make keeps what this release writes"
    )


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def test_a_released_layout_opens_and_everything_is_there(archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.unpack_archive(archive, data)
    assert verify_data(data, tmp_path, Silent())[1] == [], "also as it is, without a start"
    expected = msgspec.json.decode(archive.with_suffix("").with_suffix(".json").read_bytes(), type=dict[str, town.Seen])
    with town.running(data, later=1) as sim:
        assert town.state(sim) == expected
        everybody = list(town.people(sim).values())
        a, b = everybody[0].device("phone"), everybody[1].device("phone")
        before = len(b.history_texts(everybody[0]))
        a.send(everybody[1], "after the upgrade")
        assert b.texts[-1] == "after the upgrade"
        assert len(b.history_texts(everybody[0])) == before + 1
    assert verify_data(data, tmp_path, Silent())[1] == []
