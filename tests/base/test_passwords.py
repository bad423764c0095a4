"""Hashing off the loop: who waits for whom."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.passwords import Passwords
from lanying.config.schema import Accounts
from lanying.testing.poll import PATIENCE_S


def test_new_accounts_leave_a_thread_to_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NEW_PASSWORD_QUEUE", 2)
    passwords = Passwords(Accounts(argon2_memory_kib=64, argon2_passes=1))
    encoded = passwords._hasher.hash("secret1")
    go = threading.Event()
    hash_it = passwords._hasher.hash

    class Stopped:
        def hash(self, password: str) -> str:
            go.wait(PATIENCE_S)
            return hash_it(password)

        def verify(self, encoded: str, password: str) -> bool:
            return not go.is_set() and password == "secret1"

    passwords._hasher = Stopped()  # type: ignore[assignment]

    async def story() -> None:
        new = [asyncio.create_task(passwords.hash_new(f"secret{n}", f"peer {n}")) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(CallError) as refused:
            await passwords.hash_new("one more", "peer 9")
        assert refused.value.code == 503
        assert passwords.waiting == 1
        assert await asyncio.wait_for(passwords.verify(encoded, "secret1", ""), PATIENCE_S)
        go.set()
        assert len(set(await asyncio.gather(*new))) == 3
        assert await passwords.hash_new("again", "peer 1")

    try:
        asyncio.run(story())
    finally:
        go.set()
        passwords.close()


def test_one_address_cannot_make_the_owner_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that fills its share of the queue waits for itself: a login from another one is next."""
    passwords = Passwords(Accounts(argon2_memory_kib=64, argon2_passes=1))
    encoded = passwords._hasher.hash("secret1")
    begun: list[str] = []
    matches = passwords._matches

    def noting(encoded: str, password: str) -> bool:
        begun.append(password)
        return matches(encoded, password)

    monkeypatch.setattr(passwords, "_matches", noting)

    async def story() -> None:
        flood = [
            asyncio.create_task(passwords.verify(encoded, "wrong", "flood"))
            for _ in range(limits.PASSWORD_QUEUE_PER_PEER + 20)
        ]
        new = [
            asyncio.create_task(passwords.hash_new("secret2", "flood"))
            for _ in range(limits.NEW_PASSWORD_QUEUE_PER_PEER)
        ]
        await asyncio.sleep(0)
        await passwords.verify(encoded, "secret1", "owner")
        assert begun.index("secret1") <= 2 * limits.PASSWORD_THREADS + 2
        refused = [error for error in await asyncio.gather(*flood, return_exceptions=True) if error]
        assert len(refused) == 20 - limits.PASSWORD_THREADS
        assert all(isinstance(error, CallError) and error.retry_s for error in refused)
        await asyncio.gather(*new)

    try:
        asyncio.run(story())
    finally:
        passwords.close()
