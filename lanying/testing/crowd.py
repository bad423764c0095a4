"""Many clients in one process who write to each other, and a :class:`~lanying.testing.ledger.Ledger` of what they saw.

Every user writes to their neighbour, and now and then to a group if there is one. Each has a device that writes and
perhaps more that only watch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from lanying.base.errors import CallError, LanyingError
from lanying.client import Client, Message, outgoing
from lanying.protocol import frame
from lanying.testing.ledger import Balance, Inbox, Ledger
from lanying.testing.raw import RawClient, rest

__all__ = ["Balance", "Crowd", "CrowdMember"]

PASSWORD = "correct-horse1"
GROUP_EVERY = 4
"""Every fourth message goes to the member's group."""
NAME_TAKEN = (10004, 11011)
REFUSED_PAUSE_S = 0.1


class CrowdMember:
    """One user.

    :ivar name: user name
    :ivar acknowledged: texts by message id
    :ivar group: where some of their messages go, 0: no group
    """

    def __init__(self, ledger: Ledger, url: str, crowd: str, number: int, devices: int) -> None:
        self.number = number
        self.name = f"{crowd}_{number}"
        self.clients = [
            Client(url, device_guid=f"{crowd}-{number}{'abcdefgh'[n - 1] if n else ''}") for n in range(devices)
        ]
        self.inboxes: list[Inbox] = []
        self.acknowledged: dict[int, str] = {}
        self.failures: list[str] = []
        self.group = 0
        self.spoken = 0
        self._ledger = ledger
        self._url = url

    @property
    def client(self) -> Client:
        """The device that writes."""
        return self.clients[0]

    @property
    def uid(self) -> int:
        """User id."""
        return self.client.uid

    async def enter(self) -> list[asyncio.Task[None]]:
        """Register and log in every device; tasks that write down what they are shown."""
        await until_served(lambda: self.client.register(self.name, PASSWORD), taken_is_done=True)
        tasks = []
        for client in self.clients:
            await until_served(partial(client.login, self.name, PASSWORD))
            inbox = self._ledger.open(self.uid, client.guid)
            self.inboxes.append(inbox)
            tasks.append(asyncio.create_task(_listen(client, inbox)))
        return tasks

    def look_in(self) -> dict[tuple[int, int, int], int]:
        """What is unread on a device that never reads, by (uid, device, peer)."""
        grant = rest(self._url, "/token/user", {"name": self.name, "password": PASSWORD})
        raw = RawClient(self._url)
        raw.put(frame.provision(self.uid, grant["token"], f"{self.name}-absent"))
        _, answer = raw.get()
        raw.put(frame.unread_request())
        command, unread = raw.get()
        while command != frame.UNREAD:
            command, unread = raw.get()
        raw.socket.close()
        return {(self.uid, answer.xid.deviceSN, entry.xid.uid): entry.n for entry in unread.unread}

    async def talk(self, neighbour: CrowdMember, count: int) -> None:
        """Send ``count`` messages, each after the answer to the one before."""
        for _ in range(count):
            self.spoken += 1
            group = self.group if self.spoken % GROUP_EVERY == 0 else 0
            to = group or neighbour.uid
            text = self._ledger.next_text(self.client.guid, to)
            try:
                sent = await self.client.send(outgoing.message(to, text, group=bool(group)))
            except LanyingError as error:
                self.failures.append(f"{text}: {error}")
                self._ledger.refused.append(self.failures[-1])
                if not self._ledger.may_refuse:
                    return
                await asyncio.sleep(REFUSED_PAUSE_S)
                continue
            self.acknowledged[sent.mid] = text
            self._ledger.acknowledged(sent.mid, text, self.uid, to, self.client.guid)


class Crowd:
    """Users ``0 … size-1``; user *n* writes to user *n+1*.

    :param devices: of each user; all but the first only watch
    :param group_size: everybody is in a group of this many; 0: no groups
    :param name: begins the names of its users
    """

    def __init__(self, url: str, size: int, *, devices: int = 1, group_size: int = 0, name: str = "crowd") -> None:
        self.ledger = Ledger()
        self.members = [CrowdMember(self.ledger, url, name, number, devices) for number in range(size)]
        self._group_size = group_size
        self._tasks: list[asyncio.Task[None]] = []
        self.loop: asyncio.AbstractEventLoop

    async def arrive(self, at_once: int = 16) -> None:
        """Register and log in everybody, and found the groups."""
        self.loop = asyncio.get_running_loop()
        gate = asyncio.Semaphore(at_once)

        async def enter(member: CrowdMember) -> None:
            async with gate:
                self._tasks += await member.enter()

        await asyncio.gather(*[enter(member) for member in self.members])
        for start in range(0, len(self.members) if self._group_size else 0, self._group_size or 1):
            await self._found(self.members[start : start + self._group_size])

    async def _found(self, members: list[CrowdMember]) -> None:
        uids = [member.uid for member in members]
        created = await members[0].client.rest("POST", "/group/create", name="crowd", user_list=uids[1:])
        gid = int(created["group_id"])
        self.ledger.groups[gid] = {*uids}
        for member in members:
            member.group = gid

    @property
    def acknowledged(self) -> int:
        """Messages acknowledged so far."""
        return len(self.ledger.posts)

    def neighbour(self, member: CrowdMember) -> CrowdMember:
        """Whom a member writes to."""
        return self.members[(member.number + 1) % len(self.members)]

    async def talk(self, count: int) -> None:
        """Everybody sends ``count`` messages."""
        await asyncio.gather(*[member.talk(self.neighbour(member), count) for member in self.members])

    async def talk_until(self, stop: asyncio.Event) -> None:
        """Everybody sends message after message until ``stop`` is set."""

        async def talk(member: CrowdMember) -> None:
            while not stop.is_set() and (self.ledger.may_refuse or not member.failures):
                await member.talk(self.neighbour(member), 1)

        await asyncio.gather(*[talk(member) for member in self.members])

    async def settle(self, timeout_s: float = 30.0, *, strict: bool = True) -> None:
        """Wait until everything acknowledged has arrived.

        :raises AssertionError: it did not in time, and ``strict``
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (lost := next(self.ledger.missing(), None)) is not None:
            if asyncio.get_running_loop().time() > deadline:
                assert not strict, f"acknowledged and not received: {lost}, {len([*self.ledger.missing()])} in all"
                return
            await asyncio.sleep(0.05)

    def account(self) -> Balance:
        """Every message accounted for."""
        return self.ledger.account()

    def verify(self) -> None:
        """Hold the server to its promise. :raises AssertionError: with what is wrong"""
        self.ledger.verify()

    async def verify_history(self, members: int = 20) -> None:
        """The history of every conversation has every message exactly once, in the order of ids, whatever was shown."""
        for member in self.members[:members]:
            texts = await _history(member, self.neighbour(member).uid)
            assert len(texts) == len(set(texts)), f"{member.number}: {Counter(texts).most_common(3)}"
            missing = {text for text in member.acknowledged.values() if f">{self.neighbour(member).uid} " in text} - {
                *texts
            }
            assert not missing, f"{member.number}: {sorted(missing)[:5]} acknowledged and not in history"

    async def verify_unread(self) -> None:
        """Nothing is left to be fetched: the server's unread counts say what the devices have seen."""
        for member in self.members:
            for client in member.clients:
                await _nothing_unread(client)

    async def look_in(self) -> None:
        """A device of every user that reads nothing: logs in for the first time, or later asks what is unread."""
        for member in self.members:
            for (uid, sn, peer), count in (await asyncio.to_thread(member.look_in)).items():
                self.ledger.unread[uid, sn, peer] = count

    def verify_unread_of_the_absent(self) -> None:
        """What :meth:`look_in` got is at least what is acknowledged. Groups have notices besides messages.

        :raises AssertionError: it is less
        """
        for (uid, sn, peer), told in self.ledger.unread.items():
            due = self.ledger.due(uid, peer)
            assert told >= due, f"device {sn} of {uid} got {told} unread in queue {peer}, {due} are acknowledged"

    async def leave(self) -> None:
        """Log everybody out."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*[client.close() for member in self.members for client in member.clients])


async def until_served(
    call: Callable[[], Awaitable[object]], timeout_s: float = 40.0, *, taken_is_done: bool = False
) -> None:
    """Repeat a REST call or login while the server is away (503).

    :param taken_is_done: a name that is taken was taken by an earlier try, cut off behind its commit
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            await call()
            return
        except CallError as error:
            if taken_is_done and error.code in NAME_TAKEN:
                return
            if error.code != 503 or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.05)


async def _listen(client: Client, inbox: Inbox) -> None:
    async for event in client:
        if isinstance(event, Message):
            inbox.add(event)


async def _history(member: CrowdMember, peer: int) -> list[str]:
    """Texts the member sent to a peer, newest first."""
    texts: list[str] = []
    last, key = 1 << 62, 0
    while True:
        page = await member.client.history(peer, key, 100)
        for message in page.messages:
            assert message.mid < last, f"history of {member.number} goes from {last} to {message.mid}"
            last = message.mid
        texts += [message.text for message in page.messages if message.sender == member.uid]
        if not page.messages:
            return texts
        key = page.next_key


async def _nothing_unread(client: Client, timeout_s: float = 20.0) -> None:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while pending := [unread for unread in await client.unread() if unread.pending]:
        assert asyncio.get_running_loop().time() < deadline, f"{client.guid} still has unread {pending}"
        await asyncio.sleep(0.1)
