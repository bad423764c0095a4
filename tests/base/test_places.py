"""Places shared between peers, with explicit time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lanying.base.places import BUSY_S, Places


def fill(places: Places[int], key: str, numbers: range, now: float) -> None:
    for number in numbers:
        places.enter(number, key, now)


def test_the_peer_with_the_most_makes_room_with_its_idlest() -> None:
    places: Places[int] = Places(10, 10)
    fill(places, "flood", range(8), 1.0)
    fill(places, "honest", range(8, 10), 1.0)
    places.heard(0, 2.0)
    assert places.full("new")
    assert places.make_room("new", 2.0) == 1
    places.leave(1)
    places.enter(10, "new", 2.0)
    assert (places.held("flood"), places.held("honest"), places.held("new")) == (7, 2, 1)


def test_who_has_the_most_displaces_their_own_idle_ones_only() -> None:
    places: Places[int] = Places(4, 4)
    fill(places, "flood", range(4), 1.0)
    assert places.make_room("flood", 1.0 + BUSY_S / 2) is None
    assert places.make_room("flood", 1.0 + BUSY_S) == 0
    assert places.make_room("other", 1.0) == 0


def test_a_peer_has_its_share_also_while_there_is_room() -> None:
    places: Places[int] = Places(10, 3)
    fill(places, "flood", range(3), 1.0)
    assert places.full("flood")
    assert not places.full("flood", limited=False)
    assert not places.full("other")
    assert places.make_room("flood", 5.0) == 0


@given(st.lists(st.tuples(st.sampled_from(["enter", "leave", "heard"]), st.integers(0, 30), st.integers(0, 3))))
def test_it_is_the_peer_with_the_most_and_its_idlest_whatever_happened(steps: list[tuple[str, int, int]]) -> None:
    places: Places[int] = Places(100, 100)
    there: dict[int, tuple[str, float]] = {}
    for now, (step, member, peer) in enumerate(steps):
        if step == "leave":
            places.leave(member)
            there.pop(member, None)
        elif step == "heard" and member in there:
            places.heard(member, now)
            there[member] = there[member][0], now
        elif step == "enter" and member not in there:
            places.enter(member, f"peer {peer}", now)
            there[member] = f"peer {peer}", now
    assert len(places) == len(there)
    if there:
        sizes = Counter(key for key, _ in there.values())
        found = places.make_room("new", 1e9)
        assert found is not None
        key, heard = there[found]
        assert sizes[key] == max(sizes.values())
        assert heard == min(time for other, time in there.values() if other == key)
