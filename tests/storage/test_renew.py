"""After a restore nothing that was given out since the backup means something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from lanying.base import tokens
from lanying.base.errors import TokenError
from lanying.base.ids import EPOCH_MS, SLOTS, message_time_ms
from lanying.cluster.shardmap import ShardMap
from lanying.config import apps
from lanying.shard.accounts import accounts, devices
from lanying.shard.accounts.devices import DeviceRecord
from lanying.shard.groups.records import Group
from lanying.shard.store import schema
from lanying.storage import directory
from lanying.storage.renew import renew
from lanying.storage.verify import BEHIND_ALL
from lanying.testing.simulation import START_MS, Simulation
from tests.storage import town

YEARS_MS = 3 * 365 * 86_400_000
HOUR_MS = 3_600_000
SHARDS = 2
MAP = ShardMap.even(SHARDS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    town.found(place, SHARDS)
    with town.running(place) as sim:
        town.talk(sim, 1)
    return place


def rows(data: Path, family: str) -> dict[bytes, bytes]:
    with directory.opened([directory.shard_path(data, index) for index in range(SHARDS)]) as stores:
        return {key: row for store in stores for key, row in store.scan(family, b"", BEHIND_ALL)}


def counters(data: Path) -> dict[int, int]:
    return {
        int.from_bytes(slot, "big"): int.from_bytes(row, "big") for slot, row in rows(data, schema.COUNTERS).items()
    }


@pytest.mark.parametrize("keep_sessions", [False, True])
def test_everything_that_is_given_out_goes_on_above(data: Path, keep_sessions: bool) -> None:
    before, groups, device_rows = counters(data), rows(data, schema.GROUPS), rows(data, schema.DEVICES)
    renew(data, MAP, START_MS, keep_sessions=keep_sessions)
    after = counters(data)
    assert set(after) == set(range(SLOTS)), "a slot may have given out its first id after the backup"
    assert all(counter > before.get(slot, 0) + 10_000 for slot, counter in after.items())
    decode = msgspec.msgpack.Decoder(Group).decode
    assert groups and all(decode(rows(data, schema.GROUPS)[key]).last_item > 100 for key in groups)
    highest = {key for key in device_rows if key[8:] == bytes(4)}
    assert highest and all(
        int.from_bytes(rows(data, schema.DEVICES)[key], "big") > int.from_bytes(device_rows[key], "big") + 100
        for key in highest
    )


def test_two_restores_of_one_backup_give_out_different_ids(data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "other"))
    renew(data, MAP, EPOCH_MS + YEARS_MS)
    renew(other, MAP, EPOCH_MS + YEARS_MS + HOUR_MS)
    first, again = counters(data), counters(other)
    assert all(again[slot] >= first[slot] + HOUR_MS // 1000 for slot in range(SLOTS)), "one a second in every slot"


def test_a_clock_that_was_not_set_does_not_take_ids_back(data: Path) -> None:
    with town.running(data) as sim:
        last = [shard.work.ids.last for shard in sim.shards]
    before = counters(data)
    renew(data, MAP, 0)
    assert all(counters(data)[slot] > counter for slot, counter in before.items())
    with town.running(data) as sim:
        assert all(shard.work.ids.last >= old for shard, old in zip(sim.shards, last, strict=True))


def test_messages_get_ids_of_after_the_restore(data: Path) -> None:
    later = START_MS + YEARS_MS
    renew(data, MAP, later)
    with town.running(data) as sim:  # its clock stands where it stood at the backup
        assert all(message_time_ms(shard.work.next_mid()) >= later for shard in sim.shards)


def _secrets(sim: Simulation) -> None:
    alice = town.people(sim)["user0"]
    alice.device("phone")
    work = alice.shard.work
    devices.bind_push(work, alice.uid, 1, "fcm", "address")
    work.put(schema.CODES, b"\0\0code", b"row")
    work.put(schema.PUSHES, schema.pack_pair(alice.uid, 1), b"row")
    sim.run()


@pytest.mark.parametrize("keep_sessions", [False, True])
def test_codes_and_addresses_of_phones_are_gone_unless_kept(data: Path, keep_sessions: bool) -> None:
    with town.running(data) as sim:
        _secrets(sim)
    renew(data, MAP, START_MS, keep_sessions=keep_sessions)
    decode = msgspec.msgpack.Decoder(DeviceRecord).decode
    found = [decode(row) for key, row in rows(data, schema.DEVICES).items() if key[8:] != bytes(4)]
    assert [device.push_token for device in found if device.push_token] == ["address"] * keep_sessions
    assert len(rows(data, schema.CODES)) == len(rows(data, schema.PUSHES)) == keep_sessions


def test_tokens_end_and_what_else_is_signed_stays(data: Path) -> None:
    [app] = apps.load(data)
    admin = tokens.issue(app.token_key, tokens.Identity(app.app_id, 0, tokens.ROLE_ADMIN, 0))
    renew(data, MAP, START_MS)
    [new] = apps.load(data)
    with pytest.raises(TokenError):
        tokens.verify(new.token_key, admin, 0)
    written = (data / apps.TOKEN_FILE).read_text("utf-8").strip()
    assert tokens.verify(new.token_key, written, 0).role == tokens.ROLE_ADMIN
    assert new.secret == app.secret
    renew(data, MAP, START_MS)
    assert apps.load(data)[0].token_key != new.token_key, "every restore ends them"


def test_the_town_goes_on(data: Path) -> None:
    with town.running(data, 1) as sim:
        before = town.state(sim)
    renew(data, MAP, START_MS)
    with town.running(data, 1) as sim:
        assert town.state(sim) == before
        new = sim.user("somebody")
        assert accounts.need(new.shard.work.store, new.uid).info.username == "somebody"
        assert new.uid not in {seen[0] for seen in before.values()}
