from __future__ import annotations

import msgspec
import pytest

from lanying.base.errors import CallError
from lanying.base.ids import FIRST_COUNTER, slot_of
from lanying.base.names import username_error
from lanying.bus import messages as m
from lanying.cluster.shardmap import slot_of_name
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import accounts
from lanying.testing.shards import NotingSimulation


@pytest.fixture
def cluster() -> NotingSimulation:
    return NotingSimulation()


def claim(cluster: NotingSimulation, name: str, app: str = "app") -> int:
    answer = cluster.call(cluster.map.shard_of_name(app, name), m.ClaimAccount(app, name, "hash"))
    return msgspec.msgpack.decode(answer, type=int)


def code(cluster: NotingSimulation, uid: int, request: m.Request[object]) -> int:
    with pytest.raises(CallError) as refused:
        cluster.ask(uid, request)
    return refused.value.code


def epoch_of(cluster: NotingSimulation, uid: int) -> int:
    """What the tokens given out now carry."""
    return accounts.need(cluster.home(uid).work.store, uid).info.epoch


def test_a_new_uid_lives_in_the_slot_of_its_name(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    assert slot_of(uid) == slot_of_name("app", "ALICE")
    assert uid // 1024 == FIRST_COUNTER
    assert cluster.ask(uid, m.FindName("app", "Alice")) == uid
    assert cluster.ask(uid, m.FindName("other", "alice")) == 0


def test_a_name_is_taken_once_per_app_and_in_any_case(cluster: NotingSimulation) -> None:
    first = claim(cluster, "alice")
    with pytest.raises(CallError) as refused:
        claim(cluster, "ALICE")
    assert refused.value.code == 10004
    assert claim(cluster, "alice", "second") != first


def test_counters_of_a_slot_never_repeat(cluster: NotingSimulation) -> None:
    work = cluster.shards[0].work
    found = [accounts.next_id(work, 4) for _ in range(3)]
    assert found == [(FIRST_COUNTER + n) * 1024 + 4 for n in range(3)]


@pytest.mark.parametrize("name", ["alice", "a", "_1", "小明", "Max", "x" * 64, "9lives"])
def test_user_names(name: str) -> None:
    assert username_error(name) is None


@pytest.mark.parametrize("name", ["", "123", "mta1", "maxim", "a b", "a\0b", "a\n", "é", "x" * 65, "a@b"])
def test_not_user_names(name: str, cluster: NotingSimulation) -> None:
    assert username_error(name)
    with pytest.raises(CallError) as refused:
        claim(cluster, name)
    assert refused.value.code == 10002


def test_accounts_of_another_app_do_not_exist(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    assert cluster.ask(uid, m.GetAccounts("other", [uid])) == []
    assert code(cluster, uid, m.CheckToken("other", uid, 0)) == 402
    assert code(cluster, uid, m.GetCredentials("other", uid)) == 10000


def test_get_accounts_leaves_out_what_is_not_there_and_has_no_password(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    found = cluster.ask(uid, m.GetAccounts("app", [uid, uid + 1024, 0, -5, 1 << 60]))
    assert [row[0] for row in found] == [uid]  # type: ignore[attr-defined]
    assert "hash" not in str(found)


def test_a_password_change_revokes_tokens_and_spares_one_device(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    first, second = cluster.log_in(uid, "a"), cluster.log_in(uid, "b")
    epoch = epoch_of(cluster, uid)
    assert cluster.ask(uid, m.CheckToken("app", uid, epoch)) is True
    cluster.ask(uid, m.SetPassword(uid, "hash2", "hash", revoke=True, except_sn=2))
    assert cluster.kicks == [(uid, 0, pb.UserNotice.PASSWORD_CHANGED, 2)]
    assert (first.closed, second.closed) == (True, False)
    assert code(cluster, uid, m.CheckToken("app", uid, epoch)) == 402
    assert cluster.ask(uid, m.CheckToken("app", uid, epoch_of(cluster, uid))) is True
    assert code(cluster, uid, m.SetPassword(uid, "hash3", "hash", revoke=True)) == 11001


def test_a_rehash_revokes_nothing(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    epoch = epoch_of(cluster, uid)
    cluster.ask(uid, m.SetPassword(uid, "hash2", "hash", revoke=False))
    assert cluster.ask(uid, m.CheckToken("app", uid, epoch)) is True
    assert not cluster.kicks


def test_banned_and_deleted_accounts(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    cluster.ask(uid, m.SetState(uid, m.STATE_BANNED))
    epoch = epoch_of(cluster, uid)
    assert code(cluster, uid, m.CheckToken("app", uid, epoch)) == 10010
    cluster.ask(uid, m.SetState(uid, m.STATE_NORMAL))
    assert cluster.ask(uid, m.CheckToken("app", uid, epoch)) is True
    cluster.ask(uid, m.SetState(uid, m.STATE_DELETED))
    assert code(cluster, uid, m.CheckToken("app", uid, epoch + 1)) == 402
    notices = [kick[2] for kick in cluster.kicks]
    assert notices == [pb.UserNotice.FROZEN, pb.UserNotice.REMOVED]


def test_kicking_everything_revokes_tokens_kicking_one_does_not(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    cluster.log_in(uid, "a")
    cluster.log_in(uid, "b")
    assert cluster.ask(uid, m.Kick(uid, 1, pb.UserNotice.KICKED_BY_OTHER_DEVICE)) == 1
    epoch = epoch_of(cluster, uid)
    assert cluster.ask(uid, m.CheckToken("app", uid, epoch)) is True
    assert cluster.ask(uid, m.Kick(uid, 0, pb.UserNotice.KICKED_BY_OTHER_DEVICE)) == 1
    assert code(cluster, uid, m.CheckToken("app", uid, epoch)) == 402


@pytest.mark.parametrize("apart_ms", [1, 60_000])
def test_two_accounts_of_one_uid_in_two_copies_of_the_data_never_take_each_others_tokens(apart_ms: int) -> None:
    first = NotingSimulation()
    second = NotingSimulation(now_ms=first.now_ms + apart_ms)
    uid, again = claim(first, "alice"), claim(second, "alice")
    assert uid == again
    for copy, other in ((first, second), (second, first)):
        assert code(copy, uid, m.CheckToken("app", uid, epoch_of(other, uid))) == 402


def test_a_token_that_is_younger_than_the_data_is_reported(
    cluster: NotingSimulation, caplog: pytest.LogCaptureFixture
) -> None:
    uid = claim(cluster, "alice")
    assert code(cluster, uid, m.CheckToken("app", uid, epoch_of(cluster, uid) - 1)) == 402
    assert code(cluster, uid, m.CheckToken("other", uid, 1)) == 402
    assert not caplog.records, "a revoked token is everyday life"
    assert code(cluster, uid, m.CheckToken("app", uid, epoch_of(cluster, uid) + 1)) == 402
    assert code(cluster, uid + 1024, m.CheckToken("app", uid + 1024, 1)) == 402
    assert [record.getMessage().split()[0] for record in caplog.records] == ["event=data_older_than_token"] * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password_hash", "x"),
        ("epoch", 0),
        ("state", 0),
        ("uid", 5),
        ("username", "bob"),
        ("nick_name", 5),
        ("nick_name", "x" * 257),
        ("auth_mode", 4),
        ("auth_mode", True),
        ("no_push", 1),
        ("no_push_start_hour", 24),
    ],
)
def test_fields_that_cannot_be_set(cluster: NotingSimulation, name: str, value: object) -> None:
    uid = claim(cluster, "alice")
    assert code(cluster, uid, m.UpdateAccount(uid, {name: value})) == 10002


def test_an_update_is_kept(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    cluster.ask(uid, m.UpdateAccount(uid, {"nick_name": "Al", "auth_mode": 0}))
    account = accounts.load(cluster.home(uid).work.store, uid)
    assert account is not None
    assert (account.info.nick_name, account.info.auth_mode, account.password_hash) == ("Al", 0, "hash")


def test_a_request_nobody_knows(cluster: NotingSimulation) -> None:
    shard = cluster.shards[0]
    shard.dispatch.call(m.Call(1, "gateway", 1000, b"\x91\xcd\x03\xe7"))
    assert shard.tick.envelopes[-1][1].code == 404  # type: ignore[attr-defined]


def test_a_nick_name_is_a_name(cluster: NotingSimulation) -> None:
    uid = claim(cluster, "alice")
    cluster.ask(uid, m.UpdateAccount(uid, {"nick_name": " Zoe\u0301 "}))
    assert accounts.need(cluster.home(uid).work.store, uid).info.nick_name == "Zoé"
    assert code(cluster, uid, m.UpdateAccount(uid, {"nick_name": "a\u202eb"})) == 10002
