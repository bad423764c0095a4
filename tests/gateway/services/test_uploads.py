"""Places of uploads with explicit time; what ends an upload is its deadline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.gateway.services.uploads import Incoming, Uploads


class Deadline:
    ended = False

    def reschedule(self, when: float) -> None:
        self.ended = True


class House:
    """Uploads that are being read."""

    def __init__(self, stack: ExitStack) -> None:
        self.now = 1000.0
        self.uploads = Uploads(lambda: self.now)
        self._stack = stack
        self._users = 0

    def enter(self, peer: str, owner: str = "", received: int = 0) -> Incoming:
        self._users += 1
        upload = self._stack.enter_context(self.uploads.place(Path("x"), owner or f"user {self._users}", peer))
        upload.deadline = Deadline()  # type: ignore[assignment]
        upload.received = received
        return upload

    def refused(self, peer: str, owner: str = "") -> bool:
        try:
            self.enter(peer, owner)
        except CallError as error:
            assert error.code == 503 and error.retry_s
            return True
        return False


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        yield House(stack)


def test_slow_uploads_of_two_addresses_make_room_for_others(house: House) -> None:
    slow = [house.enter(f"attacker {n % 2}", received=n) for n in range(limits.UPLOADS)]
    honest = [house.enter(f"honest {n}", received=1 << 20) for n in range(10)]
    assert [it.displaced for it in slow[:10]] == [True] * 10, "the slowest"
    assert not any(it.displaced for it in (*slow[10:], *honest))


def test_the_slowest_of_equals_goes_once_it_can_be_judged(house: House) -> None:
    here = [house.enter(f"peer {n}", received=1000 + n) for n in range(limits.UPLOADS)]
    assert house.refused("new")
    house.now += limits.UPLOAD_JUDGED_S
    assert not house.refused("new")
    assert [it.displaced for it in here].index(True) == 0 and sum(it.displaced for it in here) == 1


def test_an_address_has_its_share_also_while_there_is_room(house: House) -> None:
    own = [house.enter("school", received=1000 - n) for n in range(limits.UPLOADS_PER_PEER)]
    other = house.enter("other")
    assert house.refused("school")
    house.now += limits.UPLOAD_JUDGED_S
    assert not house.refused("school")
    assert own[-1].displaced and not other.displaced


def test_a_user_has_a_share_of_their_own_and_displaces_nobody(house: House) -> None:
    here = [house.enter("home", "alice") for _ in range(limits.UPLOADS_PER_USER)]
    house.now += 1000
    assert house.refused("elsewhere", "alice")
    assert not any(it.displaced for it in here)


def test_what_is_being_stored_is_left_alone(house: House) -> None:
    here = [house.enter("flood") for _ in range(limits.UPLOADS_PER_PEER)]
    for upload in here:
        upload.deadline = None
    house.now += 1000
    assert house.refused("flood")
