"""Many clients in one process and what they saw: the checker of crash tests.

Every user writes to his neighbour; every send, acknowledgement and receipt is recorded. ``verify`` then holds the server to its
promise: nothing acknowledged is missing, nothing arrives twice, and each conversation keeps its order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lanying.client import Client, Message
from lanying.errors import LanyingError


class Member:
    """One user with one device."""

    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.number = number
        self.received: list[Message] = []
        self.acknowledged: dict[int, str] = {}
        self.spoken = 0
        self.failures: list[str] = []

    @property
    def uid(self) -> int:
        """User id."""
        assert self.client.session is not None
        return self.client.session.uid

    async def listen(self) -> None:
        """Record everything that comes."""
        async for event in self.client:
            if isinstance(event, Message):
                self.received.append(event)

    async def talk(self, peer: Member, count: int) -> None:
        """Send ``count`` numbered messages, each after the answer to the one before."""
        for _ in range(count):
            text = f"{self.number}->{peer.number} {self.spoken}"
            self.spoken += 1
            try:
                sent = await self.client.send_text(peer.uid, text)
            except LanyingError as error:
                self.failures.append(f"{text}: {error}")
                return
            self.acknowledged[sent.mid] = text


@dataclass
class Account:
    """What became of all messages; texts where something is wrong.

    :ivar sent: tried; a send cut off by the end is among them and not acknowledged
    """

    sent: int = 0
    acknowledged: int = 0
    received: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)


class Crowd:
    """Users ``0 … size-1``; user *n* writes to user *n+1*."""

    def __init__(self, url: str, size: int, password: str = "correct-horse1") -> None:
        self.members = [Member(Client(url, device_guid=f"crowd-{n}"), n) for n in range(size)]
        self._password = password
        self._tasks: list[asyncio.Task[None]] = []

    async def arrive(self, at_once: int = 16) -> None:
        """Register and log in everybody."""
        gate = asyncio.Semaphore(at_once)

        async def enter(member: Member) -> None:
            async with gate:
                name = f"crowd_{member.number}"
                await member.client.register(name, self._password)
                await member.client.login(name, self._password)
            self._tasks.append(asyncio.create_task(member.listen()))

        await asyncio.gather(*[enter(member) for member in self.members])

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged so far."""
        return sum(len(member.acknowledged) for member in self.members)

    async def talk(self, count: int) -> None:
        """Everybody sends ``count`` messages to his neighbour."""
        members = self.members
        await asyncio.gather(*[m.talk(members[(m.number + 1) % len(members)], count) for m in members])

    async def talk_until(self, stop: asyncio.Event) -> None:
        """Everybody sends to his neighbour, message after message, until ``stop`` is set."""
        members = self.members

        async def talk(member: Member) -> None:
            while not stop.is_set() and not member.failures:
                await member.talk(members[(member.number + 1) % len(members)], 1)

        await asyncio.gather(*[talk(member) for member in members])

    async def settle(self, timeout_s: float = 30.0, *, strict: bool = True) -> None:
        """Wait until everything acknowledged has arrived.

        :raises AssertionError: it did not in time, and ``strict``
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while missing := self.account().lost:
            if asyncio.get_running_loop().time() > deadline:
                assert not strict, f"acknowledged and not received: {missing[:5]}"
                return
            await asyncio.sleep(0.05)

    def account(self) -> Account:
        """Every message accounted for."""
        account = Account()
        for member in self.members:
            peer = self.members[(member.number + 1) % len(self.members)]
            got = {message.mid for message in peer.received}
            account.sent += member.spoken
            account.acknowledged += len(member.acknowledged)
            account.received += len(member.received)
            account.refused += member.failures
            account.lost += [text for mid, text in member.acknowledged.items() if mid not in got]
            account.duplicated += [text for text, n in Counter(m.text for m in member.received).items() if n > 1]
            last: dict[int, int] = {}
            for message in member.received:
                number = int(message.text.split()[1])
                if number < last.get(message.sender, -1):
                    account.reordered.append(message.text)
                last[message.sender] = number
        return account

    def verify(self) -> None:
        """Hold the server to its promise.

        :raises AssertionError: with what was refused, lost, came twice or out of order
        """
        account = self.account()
        for what in ("refused", "lost", "duplicated", "reordered"):
            found = getattr(account, what)
            assert not found, f"{what}: {found[:5]}, {len(found)} in all"

    async def verify_history(self, count: Callable[[Member], int] = lambda member: len(member.acknowledged)) -> None:
        """Every mailbox holds every message exactly once, whatever was shown."""
        for member in self.members[:20]:
            peer = self.members[(member.number + 1) % len(self.members)]
            texts: list[str] = []
            key = 0
            while True:
                page = await member.client.history(peer.uid, key, 100)
                texts += [message.text for message in page.messages if message.sender == member.uid]
                if not page.messages:
                    break
                key = page.next_key
            assert len(texts) == len(set(texts)) == count(member), f"{member.number}: {Counter(texts).most_common(3)}"

    async def leave(self) -> None:
        """Log everybody out."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*[member.client.close() for member in self.members])
