"""Hashing off the loop: who waits for whom."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.passwords import Passwords
from lanying.config.schema import Accounts


def test_new_accounts_leave_a_thread_to_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NEW_PASSWORD_QUEUE", 3)
    passwords = Passwords(Accounts(argon2_memory_kib=64, argon2_passes=1))
    encoded = passwords._hasher.hash("secret1")
    go = threading.Event()
    hash_it = passwords._hasher.hash

    class Stopped:
        def hash(self, password: str) -> str:
            go.wait(10)
            return hash_it(password)

        def verify(self, encoded: str, password: str) -> bool:
            return not go.is_set() and password == "secret1"

    passwords._hasher = Stopped()  # type: ignore[assignment]

    async def story() -> None:
        new = [asyncio.create_task(passwords.hash_new(f"secret{n}")) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(CallError) as refused:
            await passwords.hash_new("one more")
        assert refused.value.code == 503
        assert passwords.waiting == 1
        assert await asyncio.wait_for(passwords.verify(encoded, "secret1"), 5)
        go.set()
        assert len(set(await asyncio.gather(*new))) == 3
        assert await passwords.hash_new("again")

    try:
        asyncio.run(story())
    finally:
        go.set()
        passwords.close()
