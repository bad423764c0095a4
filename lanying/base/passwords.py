"""Argon2id, off the loop: a few threads, a bounded queue before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal

T = TypeVar("T")


class PasswordRules(Protocol):
    """What a configuration says about passwords."""

    @property
    def argon2_passes(self) -> int:
        """Rounds of a hash."""
        ...

    @property
    def argon2_memory_kib(self) -> int:
        """Memory of a hash."""
        ...

    @property
    def password_min_chars(self) -> int:
        """Of a new password."""
        ...


class Passwords:
    """Hashes and verifies with the parameters of the configuration."""

    def __init__(self, config: PasswordRules) -> None:
        self._hasher = PasswordHasher(config.argon2_passes, config.argon2_memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(limits.PASSWORD_THREADS, thread_name_prefix="password")
        self._min_chars = config.password_min_chars
        self.waiting = 0

    def check_new(self, password: str) -> None:
        """:raises CallError: 10002, too short or too long for a new password"""
        if not self._min_chars <= len(password) <= limits.PASSWORD_CHARS:
            raise CallError(
                Refusal.INVALID_PARAMETER, f"a password has {self._min_chars} to {limits.PASSWORD_CHARS} characters"
            )

    async def hash(self, password: str) -> str:
        """An encoded hash. :raises CallError: 503, too many are waiting"""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, encoded: str, password: str) -> bool:
        """Is it the password of this hash? :raises CallError: 503, too many are waiting"""
        return await self._run(lambda: self._matches(encoded, password))

    def outdated(self, encoded: str) -> bool:
        """Was the hash made with other parameters than today's?"""
        return self._hasher.check_needs_rehash(encoded)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self.waiting >= limits.PASSWORD_QUEUE:
            raise CallError(Refusal.UNAVAILABLE, "the server is busy with other passwords, try again")
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self.waiting -= 1
