"""Message ids and entity ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base.ids import (
    EPOCH_MS,
    FIRST_COUNTER,
    MAX_ENTITY_ID,
    SHARDS,
    SLOTS,
    MessageIds,
    entity_id,
    made_by,
    message_time_ms,
    slot_of,
    typed_id,
)
from lanying.base.limits import MAX_SHARDS

NOW = EPOCH_MS + 90_000_000_000
clocks = st.lists(st.integers(EPOCH_MS, EPOCH_MS + (1 << 41) - 10_000), min_size=1, max_size=300)


@given(clocks, st.integers(0, SHARDS - 1))
def test_ids_only_grow_whatever_the_clock_does_and_fit_a_double(times, shard):
    ids = MessageIds(shard)
    made = []
    for now in times:
        made.append(ids.next(now))
        assert made_by(made[-1]) == (shard, ids.last)
    assert made == sorted(set(made))
    assert made[0] > 0 and made[-1] < 1 << 53


def test_shards_never_make_the_same_id():
    every = [MessageIds(shard) for shard in range(MAX_SHARDS)]
    made = [ids.next(NOW) for ids in every for _ in range(64)]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(("shard", "a_millisecond"), [(0, 64), (31, 64), (32, 16), (159, 16)])
def test_a_full_millisecond_borrows_from_the_next_one(shard, a_millisecond):
    ids = MessageIds(shard)
    times = [message_time_ms(ids.next(NOW)) for _ in range(2 * a_millisecond + 2)]
    assert times == [NOW] * a_millisecond + [NOW + 1] * a_millisecond + [NOW + 2] * 2


@pytest.mark.parametrize("shard", [0, MAX_SHARDS - 1])
def test_a_saturated_shard_stays_with_the_clock(shard):
    """12,500 ids a second, made in bursts of a tick every 10 ms: after each rest the ids are of the time they are made at."""
    ids = MessageIds(shard)
    for tick in range(200):
        now = NOW + 10 * tick
        times = [message_time_ms(ids.next(now)) for _ in range(125)]
        assert times[0] == now
        assert times[-1] < now + 10


def test_ids_of_a_server_made_before_there_were_two_kinds_are_what_they_were():
    for shard in range(32):
        ids = MessageIds(shard)
        assert [ids.next(NOW) for _ in range(3)] == [(NOW - EPOCH_MS) << 12 | shard << 6 | n for n in range(3)]
        assert ids.last == (NOW - EPOCH_MS) << 6 | 2


@given(st.integers(0, SHARDS - 1), st.integers(0, SHARDS - 1), st.integers(1, 200))
def test_an_answer_never_sorts_before_its_question(asks, answers, questions):
    asking, answering = MessageIds(asks), MessageIds(answers)
    question = [asking.next(NOW) for _ in range(questions)][-1]
    answering.observe(question)
    assert answering.next(NOW - 5_000) > question


def test_a_clock_that_steps_back_takes_no_id_back_and_restart_goes_on():
    ids = MessageIds(1)
    first = ids.next(NOW)
    assert ids.next(NOW - 60_000) > first
    assert MessageIds(1, last=ids.last).next(NOW - 60_000) > first


def test_message_time_is_the_wall_time():
    assert message_time_ms(MessageIds(MAX_SHARDS - 1).next(NOW)) == NOW


@given(st.integers(0, SLOTS - 1), st.integers(FIRST_COUNTER, 10**11))
def test_entity_ids_live_in_their_slot_and_have_at_most_15_digits(slot, counter):
    made = entity_id(slot, counter)
    assert slot_of(made) == slot
    assert 10**6 <= made <= MAX_ENTITY_ID


@pytest.mark.parametrize("shard", [0, 31, 32, 159])
def test_the_time_of_the_last_id_is_that_of_the_clock_then(shard):
    ids = MessageIds(shard)
    assert ids.last_time_s == 0
    ids.next(1_800_000_000_123)
    assert ids.last_time_s == 1_800_000_000.123


def test_an_id_as_somebody_typed_it():
    assert typed_id("1024007") == 1_024_007
    assert [typed_id(text) for text in ("", "alice", "-5", "1.5", " 7", "9" * 40)] == [0] * 6
