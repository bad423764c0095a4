"""Argon2id, off the loop: a few threads, a bounded queue before them in which addresses take turns.

A password is compared as :func:`prepared` writes it: a Mac types ë as two characters, a phone as one.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.fair_queue import FairQueue
from lanying.base.refusals import Refusal

T = TypeVar("T")
_NEW: Final = "new accounts"
"""The peer of all who register."""


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


def prepared(password: str) -> str:
    """A password as every keyboard types it: spaces of any kind are spaces, accents part of their letters (RFC 8265, 4.2)."""
    spaces = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in password)
    return unicodedata.normalize("NFC", spaces)


class Passwords:
    """Hashes and verifies with the parameters of the configuration.

    :param threads: that hash, each with memory of its own; as many more may wait as they work off in three seconds
    """

    def __init__(self, config: PasswordRules, threads: int = limits.PASSWORD_THREADS) -> None:
        self._hasher = PasswordHasher(config.argon2_passes, config.argon2_memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._min_chars = config.password_min_chars
        self._queue = FairQueue(
            threads,
            limits.PASSWORD_QUEUE * threads // limits.PASSWORD_THREADS,
            limits.PASSWORD_QUEUE_PER_PEER * threads // limits.PASSWORD_THREADS,
            "the server is busy with other passwords",
            limits.PASSWORD_RETRY_S,
        )
        self._new = FairQueue(
            1,
            limits.NEW_PASSWORD_QUEUE,
            limits.NEW_PASSWORD_QUEUE_PER_PEER,
            "the server is busy with other new accounts",
            limits.PASSWORD_RETRY_S,
        )

    @property
    def waiting(self) -> int:
        """Passwords that a thread has, and that wait for one."""
        return len(self._queue)

    def check_new(self, password: str) -> None:
        """:raises CallError: 10002, too short or too long for a new password"""
        if not self._min_chars <= len(prepared(password)) <= limits.PASSWORD_CHARS:
            raise CallError(
                Refusal.INVALID_PARAMETER, f"a password has {self._min_chars} to {limits.PASSWORD_CHARS} characters"
            )

    async def hash(self, password: str, peer: str) -> str:
        """An encoded hash.

        :param peer: for whom, by address; "": the server itself
        :raises CallError: 503, too many are waiting
        """
        return await self._run(lambda: self._hasher.hash(prepared(password)), peer)

    async def hash_new(self, password: str, peer: str) -> str:
        """The hash of a new account's password: strangers wait behind each other, and all together take one turn among those who log in.

        :raises CallError: 503, too many are waiting
        """
        async with self._new.turn(peer):
            return await self.hash(password, _NEW)

    async def verify(self, encoded: str, password: str, peer: str) -> bool:
        """Is it the password of this hash? :raises CallError: 503, too many are waiting"""
        ready = prepared(password)
        if len(ready) > limits.PASSWORD_CHARS:
            return False
        ways = dict.fromkeys((ready, password))  # the second: hashes from before passwords were prepared
        return await self._run(lambda: any(self._matches(encoded, way) for way in ways), peer)

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

    async def _run(self, work: Callable[[], T], peer: str) -> T:
        async with self._queue.turn(peer):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
