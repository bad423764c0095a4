"""Who may write to whom, how fast a group, and what words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lanying.base.errors import Refused
from lanying.base.refusals import Refusal
from lanying.bus.messages import AddApp
from lanying.config.schema import Accounts, AppOverrides, Config, PolicySettings
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.testing.simulation import Simulation


def policy(config: Config | None = None) -> Any:
    return Simulation(1, config).shards[0].policy


def taken(rules: Any, priority: int = 0, size: int = 0, gid: int = 9, now: float = 50.0) -> int:
    """How much of a group's second goes through."""
    for count in range(10_000):
        try:
            if not rules.count_group(gid, now, priority, size):
                return count
        except Refused as refused:
            assert refused.refusal is Refusal.TOO_MANY_MESSAGES and not priority
            return count
    raise AssertionError("no limit")


@pytest.mark.parametrize("most", [1, 2, 5, 10])
def test_what_may_be_dropped_gets_half_of_a_groups_second(most: int) -> None:
    def rules() -> Any:
        return policy(Config(policy=PolicySettings(group_messages_per_s=most)))

    assert taken(rules()) == most
    assert taken(rules(), priority=3) == most // 2
    both = rules()
    assert taken(both, priority=3) + taken(both) == most, "one second for both"
    assert taken(both, gid=10) == most, "each group its own"
    assert taken(both, now=51.0) == most


def test_large_messages_count_as_many_and_one_always_fits() -> None:
    def rules() -> Any:
        return policy(Config(policy=PolicySettings(group_messages_per_s=8)))

    per_byte = rules().budgets.group_tokens_per_byte
    assert taken(rules(), size=int(2 / per_byte)) == 4
    assert taken(rules(), size=int(0.5 / per_byte)) == 8, "no message is cheaper than one"
    assert taken(rules(), size=1 << 40) == 1, "none is too large for an empty second"
    assert taken(rules(), size=1 << 40, priority=1) == 1


def test_the_refusal_names_the_limit() -> None:
    rules = policy(Config(policy=PolicySettings(group_messages_per_s=1)))
    taken(rules)
    with pytest.raises(Refused, match="more than 1 messages in a second in this group"):
        rules.count_group(9, 50.0, 0, 0)


def filtered(tmp_path: Path, *, mask: bool) -> Any:
    file = tmp_path / "words"
    file.write_text("spam\n")
    return policy(Config(policy=PolicySettings(words_file=str(file), mask_words=mask)))


@pytest.mark.parametrize("mask", [True, False])
def test_forbidden_words_are_masked_or_refused_and_others_left_alone(tmp_path: Path, mask: bool) -> None:
    rules = filtered(tmp_path, mask=mask)
    body = MessageBody(content="ham", ext="spam")
    meta = Meta(payload=b"as it came")
    rules.censor(meta, body)
    assert (meta.payload, body.content) == (b"as it came", "ham")
    body = MessageBody(content="a spam", ext="kept")
    if mask:
        rules.censor(meta, body)
        assert MessageBody.FromString(meta.payload) == MessageBody(content="a ****", ext="kept")
    else:
        with pytest.raises(Refused) as refused:
            rules.censor(meta, body)
        assert refused.value.refusal is Refusal.FORBIDDEN_WORDS and meta.payload == b"as it came"


def test_without_a_file_there_is_no_filter() -> None:
    assert policy().words is None


@pytest.mark.parametrize("everybody", [True, False])
def test_strangers_may_chat_where_their_app_says_so(everybody: bool) -> None:
    sim = Simulation(2, Config(accounts=msgspec.structs.replace(Accounts(), strangers_may_chat=everybody)))
    ann, bea = sim.user("ann"), sim.user("bea")
    rules = ann.shard.policy
    assert rules.may_chat(ann.uid, bea.uid) is everybody
    assert rules.may_chat(ann.uid, ann.uid), "notes to oneself"
    assert rules.may_chat(1 << 40, bea.uid) is everybody


def test_an_app_that_is_added_may_be_stricter() -> None:
    sim = Simulation(1)
    rules = sim.shards[0].policy
    guest = sim.user("guest", app="strict")
    assert rules.may_chat(guest.uid, 7)
    assert rules.add_app(AddApp("strict", AppOverrides(strangers_may_chat=False))) is True
    assert not rules.may_chat(guest.uid, 7)
    assert rules.may_chat(sim.user("ann").uid, 7), "others as before"


def test_work_is_charged_to_the_user_over_all_their_devices_and_none_is_free() -> None:
    sim = Simulation(1, Config(policy=PolicySettings(user_messages_per_s=3)))
    ann = sim.user("ann")
    rules = ann.shard.policy
    rules.charge(ann.uid, 3)
    with pytest.raises(Refused):
        rules.charge(ann.uid, 1)
    rules.charge(ann.uid, 0)
    bea = sim.user("bea")
    one, other = bea.device("one"), bea.device("other")
    assert rules.spent(bea.uid) is one.session.sends is other.session.sends
