"""Passwords: what is hashed is verified, a length of both ends, hashes with other parameters are outdated, the queue is bounded."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.passwords import Passwords
from lanying.base.refusals import Refusal
from lanying.config.schema import Accounts

Make = Callable[..., Passwords]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Passwords] = []

    def one(passes: int = 1) -> Passwords:
        made.append(Passwords(Accounts(argon2_passes=passes, argon2_memory_kib=64, password_min_chars=6)))
        return made[-1]

    yield one
    for passwords in made:
        passwords.close()


def test_a_hash_is_of_its_password_alone(make: Make) -> None:
    passwords = make()

    async def story() -> None:
        encoded = await passwords.hash("correct horse")
        assert await passwords.verify(encoded, "correct horse")
        assert not await passwords.verify(encoded, "correct house")
        assert not await passwords.verify("no hash", "correct horse")
        assert not passwords.outdated(encoded) and make(passes=2).outdated(encoded)

    asyncio.run(story())


@pytest.mark.parametrize("length", [5, limits.PASSWORD_CHARS + 1])
def test_a_new_password_is_neither_short_nor_long(make: Make, length: int) -> None:
    with pytest.raises(CallError, match=f"6 to {limits.PASSWORD_CHARS}") as caught:
        make().check_new("x" * length)
    assert caught.value.refusal is Refusal.INVALID_PARAMETER


def test_one_too_many_is_refused_and_the_others_are_hashed(make: Make) -> None:
    passwords = make()

    async def story() -> list[str | BaseException]:
        many = (passwords.hash("correct horse") for _ in range(limits.PASSWORD_QUEUE + 1))
        return await asyncio.gather(*many, return_exceptions=True)

    *hashed, last = asyncio.run(story())
    assert isinstance(last, CallError) and last.refusal is Refusal.UNAVAILABLE
    assert all(isinstance(one, str) for one in hashed) and passwords.waiting == 0
