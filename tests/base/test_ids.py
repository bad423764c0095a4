"""Message ids and entity ids."""

from hypothesis import given
from hypothesis import strategies as st

from lanying.base.ids import (
    EPOCH_MS,
    FIRST_COUNTER,
    MAX_ENTITY_ID,
    SLOTS,
    MessageIds,
    entity_id,
    message_time_ms,
    slot_of,
)

NOW = EPOCH_MS + 90_000_000_000
clocks = st.lists(st.integers(EPOCH_MS, EPOCH_MS + (1 << 41) - 10_000), min_size=1, max_size=300)


@given(clocks, st.integers(0, 63))
def test_ids_only_grow_whatever_the_clock_does_and_fit_a_double(times, shard):
    ids = MessageIds(shard)
    made = [ids.next(now) for now in times]
    assert made == sorted(set(made))
    assert made[0] > 0 and made[-1] < 1 << 53
    assert all(mid >> 6 & 63 == shard for mid in made)


def test_shards_never_make_the_same_id():
    made = [MessageIds(shard).next(NOW) for shard in range(64)]
    assert len(set(made)) == 64


def test_a_full_millisecond_borrows_from_the_next_one():
    ids = MessageIds(5)
    times = [message_time_ms(ids.next(NOW)) for _ in range(130)]
    assert times == [NOW] * 64 + [NOW + 1] * 64 + [NOW + 2] * 2


def test_a_clock_that_steps_back_takes_no_id_back_and_restart_goes_on():
    ids = MessageIds(1)
    first = ids.next(NOW)
    assert ids.next(NOW - 60_000) > first
    assert MessageIds(1, last=ids.last).next(NOW - 60_000) > first


def test_message_time_is_the_wall_time():
    assert message_time_ms(MessageIds(63).next(NOW)) == NOW


@given(st.integers(0, SLOTS - 1), st.integers(FIRST_COUNTER, 10**11))
def test_entity_ids_live_in_their_slot_and_have_at_most_15_digits(slot, counter):
    made = entity_id(slot, counter)
    assert slot_of(made) == slot
    assert 10**6 <= made <= MAX_ENTITY_ID
