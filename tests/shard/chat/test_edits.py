"""What edits do to a stored message: JSON merges deeply, times only grow, nothing becomes longer than a message may be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.errors import Refused
from lanying.config.schema import Config, PolicySettings
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.shard.chat import door, edits
from lanying.testing.simulation import Device, Simulation, User
from tests.shard.chat.test_chat import pair

APPEND, REPLACE = MessageOperation.APPEND, MessageOperation.REPLACE


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        ("", "", ""),
        ("", '{"a":1}', '{"a":1}'),
        ('{"a":1}', "", '{"a":1}'),
        ('{"a":1}', '{"b":2}', '{"a":1,"b":2}'),
        ('{"a":1}', '{"a":2}', '{"a":2}'),
        ('{"a":{"x":1,"y":2}}', '{"a":{"y":3,"z":4}}', '{"a":{"x":1,"y":3,"z":4}}'),
        ('{"a":{"x":1}}', '{"a":5}', '{"a":5}'),
        ('{"a":5}', '{"a":{"x":1}}', '{"a":{"x":1}}'),
        ('{"a":[1,2]}', '{"a":[3]}', '{"a":[3]}'),
        ('{"a":1}', '{"a":null}', '{"a":null}'),
        ('{"a":1}', "text", "text"),
        ("text", '{"a":1}', '{"a":1}'),
        ('{"a":1}', "[1]", "[1]"),
        ('{"a":1}', '{"b":' + "9" * 5000 + "}", '{"b":' + "9" * 5000 + "}"),
    ],
    ids=lambda value: value[:20],
)
def test_objects_merge_and_anything_else_replaces(old: str, new: str, merged: str) -> None:
    assert edits.merge_json(old, new) == merged


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=2), values, min_size=1), st.dictionaries(st.text(max_size=2), values, min_size=1)
)
def test_everything_of_the_new_object_is_in_the_merged_one(old: dict[str, object], new: dict[str, object]) -> None:
    merged = json.loads(edits.merge_json(json.dumps(old), json.dumps(new)))

    def holds(left: object, right: object) -> bool:
        if isinstance(right, dict) and isinstance(left, dict):
            return all(key in left and holds(left[key], value) for key, value in right.items())
        return left == right

    assert holds(merged, new)
    assert merged.keys() == old.keys() | new.keys()
    assert edits.merge_json(json.dumps(merged), json.dumps(new)) == json.dumps(
        merged, separators=(",", ":"), ensure_ascii=False
    )


def written(config: Config | None = None, content: str = "one") -> tuple[Simulation, Device, User, int]:
    sim, alice, bob = pair(2, config)
    a = alice.device()
    return sim, a, bob, a.acknowledged[a.send(bob, content)]


def shown(user: User, peer: User) -> MessageBody:
    [meta] = user.device("looks").history(peer).metas
    return MessageBody.FromString(meta.payload)


def test_append_adds_and_replace_without_text_keeps() -> None:
    _, a, bob, mid = written()
    a.operate(bob, APPEND, mid, content=" two", ext='{"a":1}')
    a.operate(bob, REPLACE, mid, content="", config='{"b":2}')
    for user, peer in ((a.user, bob), (bob, a.user)):
        body = shown(user, peer)
        assert (body.content, body.ext, body.config) == ("one two", '{"a":1}', '{"b":2}')
    a.operate(bob, REPLACE, mid, content="three")
    assert shown(bob, a.user).content == "three"


def test_edits_have_times_of_their_own_also_when_the_clock_goes_back() -> None:
    sim, a, bob, mid = written()
    times = []
    for back in (0, 5_000, 0):
        sim.now_ms -= back
        sim.advance(0)
        sent = a.operate(bob, APPEND, mid, content="x")
        [answer] = [sync for _, sync in a.frames if getattr(sync, "client_mid", 0) == sent]
        times.append(answer.edit_timestamp)
        assert shown(bob, a.user).edit_timestamp == times[-1] + 1, "history is younger than the edit"
    assert times == sorted(times) and len({*times}) == 3, "each is later than the one before"


def test_a_message_cannot_grow_beyond_its_largest_size_by_a_byte() -> None:
    def room(size: int) -> bool:
        _, a, bob, mid = written(Config(policy=PolicySettings(message_bytes=2000)), "x" * 1000)
        return a.operate(bob, APPEND, mid, content="y" * size) in a.acknowledged

    fits = max(size for size in range(900, 1000) if room(size))
    assert not room(fits + 1)
    _, a, bob, mid = written(Config(policy=PolicySettings(message_bytes=2000)), "x" * 1000)
    a.operate(bob, APPEND, mid, content="y" * fits)
    assert len(shown(bob, a.user).SerializeToString()) <= 2000 + 2, "with the status that history appends"


def test_only_its_author_may_edit_and_only_so_long_recall() -> None:
    sim, a, bob, mid = written()
    b = bob.device()
    for kind in (APPEND, REPLACE):
        assert b.refused[b.operate(a.user, kind, mid, content="forged")][1]
    b.operate(a.user, MessageOperation.RECALL, mid)
    assert 0 in b.refused
    sim.advance(sim.config.policy.recall_seconds)
    assert a.operate(bob, MessageOperation.RECALL, mid, bob.uid) in a.acknowledged
    again = a.acknowledged[a.send(bob, "late")]
    sim.advance(sim.config.policy.recall_seconds + 0.001)
    a.operate(bob, MessageOperation.RECALL, again, bob.uid)
    assert a.refused[0][1] == "exceed recall time limit"
    assert bob.device().history_texts(a.user) == ["late"]


def test_what_is_not_there_cannot_be_operated_on() -> None:
    _, a, bob, mid = written()
    head = a.user.shard.work.mailboxes.head(a.user.uid, bob.uid)
    work = a.user.shard.work
    assert edits.need(work, head, mid).author == a.user.uid
    for wrong in (0, mid + 1, mid - 1, door.LARGEST_ID):
        assert edits.find(work, head, wrong) is None
        with pytest.raises(Refused):
            edits.need(work, head, wrong)
    edits.recall(work, edits.need(work, head, mid))
    assert edits.find(work, head, mid) is None
    assert [recalled for recalled, _ in work.recent.removed] == [mid]
