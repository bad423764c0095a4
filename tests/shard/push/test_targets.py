"""Whom a push of a back end is for: of this app, with a device, who wants it and is meant; counted in bounded pieces."""

from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.bus.messages import STATE_BANNED, BindPush, EditTags, PushTargets, SetState, UpdateAccount
from lanying.shard.push import targets
from lanying.testing.simulation import Simulation, User


def users(count: int = 4) -> tuple[Simulation, list[User]]:
    sim = Simulation(1)
    found = [sim.user(f"user{n}") for n in range(count)]
    for number, user in enumerate(found):
        bind(user, f"token-{number}")
    return sim, sorted(found, key=lambda user: user.uid)


def bind(user: User, token: str, guid: str = "phone", notifier: str = "ours") -> None:
    device = user.device(guid)
    user.simulation.call(0, BindPush(user.uid, device.sn, notifier, token))


def found(sim: Simulation, most: int = 100, **wanted: object) -> tuple[list[int], int]:
    rows, last = targets.find(sim.shards[0].work.store, PushTargets("lanying", **wanted), most)  # type: ignore[arg-type]
    return [*rows], last


def test_only_who_has_a_token_is_in_the_app_and_wants_pushes_is_meant() -> None:
    sim, (ann, bea, cora, dora) = users()
    sim.user("nobody")
    bind(sim.user("foreign", app="other"), "their token")
    assert found(sim) == ([ann.uid, bea.uid, cora.uid, dora.uid], 0)
    sim.call(0, SetState(ann.uid, STATE_BANNED))
    sim.call(0, UpdateAccount(bea.uid, {"no_push": True}))
    assert found(sim) == ([cora.uid, dora.uid], 0)


def test_named_users_tags_and_tokens_narrow_it_down() -> None:
    sim, (ann, bea, cora, dora) = users()
    assert found(sim, uids=[cora.uid, ann.uid, -1, 1 << 60, 99]) == ([cora.uid, ann.uid], 0)
    sim.call(0, EditTags(bea.uid, ["red", "blue"]))
    sim.call(0, EditTags(cora.uid, ["green"]))
    assert found(sim, tags=["blue", "green"]) == ([bea.uid, cora.uid], 0)
    assert found(sim, tags=["black"]) == ([], 0)
    token = next(f"token-{n}" for n in range(4) if dora.name == f"user{n}")
    assert found(sim, push_tokens=[token, "x"]) == ([dora.uid], 0)
    sim.call(0, UpdateAccount(ann.uid, {"push_token": "of settings"}))
    assert found(sim, push_tokens=["of settings"]) == ([ann.uid], 0)
    assert found(sim, push_tokens=[token], uids=[ann.uid]) == ([], 0)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
def test_all_are_found_in_pieces(most: int) -> None:
    sim, everybody = users()
    uids, after, pieces = [], 0, 0
    while True:
        some, after = found(sim, most, after=after)
        assert len(some) <= most
        uids += some
        pieces += 1
        if not after:
            break
    assert uids == [user.uid for user in everybody] and pieces == 4 // most + 1


def test_devices_are_counted_by_notifier_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, (ann, *_) = users()
    bind(ann, "second", "tablet", "theirs")
    page = targets.count(sim.shards[0].work.store, PushTargets("lanying"))
    assert (page.counts, page.next) == ({"ours": 4, "theirs": 1}, 0)
    monkeypatch.setattr(limits, "ACCOUNTS_SCANNED", 1)
    page = targets.count(sim.shards[0].work.store, PushTargets("lanying"))
    assert (page.counts, page.next) == ({"ours": 1, "theirs": 1}, ann.uid)
