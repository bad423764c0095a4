"""Pure: who begins their handshake, in which order, and who has to leave."""

from __future__ import annotations

from lanying.tls.newcomers import LOOKED_AT, SLOW_S, Newcomers, Next


def waiting(members: list[tuple[int, str]], total: int, each: int) -> Newcomers[int]:
    newcomers: Newcomers[int] = Newcomers(total, each)
    for member, key in members:
        newcomers.wait(member, key, limited=True)
    return newcomers


def test_the_newest_begins_first_and_only_as_many_as_there_are_places():
    newcomers = waiting([(n, f"peer {n}") for n in range(5)], 2, 1)
    assert [newcomers.next(0.0) for _ in range(3)] == [Next(4, None), Next(3, None), None]
    assert (newcomers.waiting, newcomers.shaking) == (3, 2)


def test_one_peer_has_its_share_and_the_others_are_not_held_up():
    newcomers = waiting([(0, "honest")] + [(n, "flood") for n in range(1, 30)], 10, 2)
    begun = [newcomers.next(0.0) for _ in range(4)]
    assert [one.member for one in begun if one] == [29, 28, 0]


def test_no_flood_keeps_others_from_their_turn_for_more_than_some_calls():
    newcomers = waiting([(0, "honest")] + [(n, "flood") for n in range(1, 10 * LOOKED_AT)], 10, 1)
    begun = {one.member for one in (newcomers.next(0.0) for _ in range(15)) if one}
    assert 0 in begun and len(begun) == 2


def test_who_does_not_end_it_makes_room_after_a_while():
    newcomers = waiting([(0, "a"), (1, "b"), (2, "c")], 2, 1)
    assert [newcomers.next(0.0) for _ in range(2)] == [Next(2, None), Next(1, None)]
    assert newcomers.next(SLOW_S - 1) is None
    assert newcomers.next(SLOW_S + 1) == Next(0, 2)
    assert (newcomers.waiting, newcomers.shaking) == (0, 2)


def test_who_leaves_gives_up_the_place():
    newcomers = waiting([(0, "a"), (1, "b"), (2, "c")], 1, 1)
    assert newcomers.next(0.0) == Next(2, None)
    newcomers.leave(1)
    newcomers.leave(2)
    newcomers.leave(2)
    assert newcomers.next(0.0) == Next(0, None)


def test_who_has_not_sent_enough_to_begin_waits_again_without_a_place():
    newcomers = waiting([(0, "a")], 1, 1)
    assert newcomers.next(0.0) == Next(0, None)
    newcomers.wait(0, "a", limited=True)
    assert newcomers.shaking == 0 and newcomers.next(0.0) == Next(0, None)
