"""The checker of everything that kills, stalls and starves: every send, acknowledgement and receipt is written down, and
the server is held to its promise afterwards.

- *lost*: acknowledged, and not with every device that ought to have it.
- *duplicated*: a device was shown the same text under two message ids.
- *reordered*: a device was shown a sender's messages in another order than they were sent in.
- *disagreeing*: devices of one user, or devices in one group, were shown messages of a conversation in different orders.
- *refused*: a send was answered with an error.

``check_stores`` looks at the databases of the stopped server as well: the invariants of
:mod:`lanying.storage.verify`, and every acknowledged message exactly once in every mailbox that owes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lanying.client import Message
from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.shard.store import schema
from lanying.shard.store.base import Store
from lanying.storage import directory
from lanying.storage.verify import verify_links, verify_store


class AcknowledgedPost(NamedTuple):
    """An acknowledged message. ``to``: a user or a group."""

    mid: int
    text: str
    sender: int
    to: int
    device: str


class Inbox:
    """What one device was shown.

    :ivar name: unique among all devices
    """

    def __init__(self, uid: int, name: str) -> None:
        self.uid = uid
        self.name = name
        self.messages: list[Message] = []
        self.mids: set[int] = set()

    def add(self, message: Message) -> None:
        """A message was shown."""
        self.messages.append(message)
        self.mids.add(message.mid)


@dataclass
class Balance:
    """What became of all messages; texts where something is wrong.

    :ivar sent: tried; a send cut off by the end is among them and not acknowledged
    :ivar received: shown, on all devices together
    """

    sent: int = 0
    acknowledged: int = 0
    received: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)

    WRONG = ("refused", "lost", "duplicated", "reordered", "disagreeing")

    def problems(self) -> list[str]:
        """One line for each kind of broken promise."""
        found = {what: getattr(self, what) for what in self.WRONG}
        return [f"{what}: {texts[:5]}, {len(texts)} in all" for what, texts in found.items() if texts]


class Ledger:
    """Everything that was sent and shown.

    :ivar groups: members by group id
    :ivar unread: what the server said is unread on devices that were away, by (uid, device, peer)
    :ivar may_refuse: refusals are no broken promise: the test takes away what the server needs
    """

    def __init__(self) -> None:
        self.posts: list[AcknowledgedPost] = []
        self.sent = 0
        self.refused: list[str] = []
        self.inboxes: list[Inbox] = []
        self.groups: dict[int, set[int]] = {}
        self.may_refuse = False
        self.unread: dict[tuple[int, int, int], int] = {}
        self._numbers: Counter[tuple[str, int]] = Counter()

    def open(self, uid: int, name: str) -> Inbox:
        """A device that is to be shown everything of its user."""
        inbox = Inbox(uid, name)
        self.inboxes.append(inbox)
        return inbox

    def next_text(self, device: str, to: int) -> str:
        """The next message of a device to a user or group: unlike any other, and numbered."""
        self.sent += 1
        self._numbers[device, to] += 1
        return f"{device}>{to} {self._numbers[device, to]}"

    def acknowledged(self, mid: int, text: str, sender: int, to: int, device: str) -> None:
        """The server has promised to keep it."""
        self.posts.append(AcknowledgedPost(mid, text, sender, to, device))

    def audience(self, post: AcknowledgedPost) -> Iterable[int]:
        """Users who have it in their mailbox."""
        return self.groups.get(post.to, {post.sender, post.to})

    def missing(self) -> Iterator[str]:
        """What is acknowledged and was not shown on some device."""
        by_uid: dict[int, list[Inbox]] = defaultdict(list)
        for inbox in self.inboxes:
            by_uid[inbox.uid].append(inbox)
        for post in self.posts:
            for uid in self.audience(post):
                for inbox in by_uid.get(uid, ()):
                    if post.mid not in inbox.mids and inbox.name != post.device:
                        yield f"{post.text} on {inbox.name}"

    def account(self) -> Balance:
        """Every message accounted for."""
        account = Balance(self.sent, len(self.posts), sum(len(inbox.messages) for inbox in self.inboxes))
        account.refused = [] if self.may_refuse else self.refused
        account.lost = list(self.missing())
        for inbox in self.inboxes:
            shown = self._of_the_crowd(inbox)
            texts = Counter(message.text for message in shown)
            account.duplicated += [f"{text} on {inbox.name}" for text, times in texts.items() if times > 1]
            last: dict[str, int] = {}
            for message in shown:
                source, number = message.text.rsplit(" ", 1)
                if int(number) < last.get(source, 0):
                    account.reordered.append(f"{message.text} on {inbox.name}")
                last[source] = int(number)
        account.disagreeing = list(self._disagreeing())
        return account

    def _of_the_crowd(self, inbox: Inbox) -> list[Message]:
        """What a device was shown of those who count; others may write what they like."""
        crowd = self.crowd
        return [message for message in inbox.messages if message.sender in crowd]

    @property
    def crowd(self) -> set[int]:
        """Uids of those who count."""
        return {inbox.uid for inbox in self.inboxes}

    def verify(self) -> None:
        """Hold the server to its promise. :raises AssertionError: with what is wrong"""
        assert not (problems := self.account().problems()), "; ".join(problems)

    def _disagreeing(self) -> Iterator[str]:
        """A group has one order for everybody, a queue of a user one for all of their devices."""
        places: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        for inbox in self.inboxes:
            last: dict[int, tuple[int, str]] = {}
            for message in self._of_the_crowd(inbox):
                peer = message.peer
                if peer in self.groups:
                    place = message.mid
                else:
                    queue = places[inbox.uid, peer]
                    place = queue.setdefault(message.mid, len(queue))
                if place < last.get(peer, (-1, ""))[0]:
                    yield f"{message.text} behind {last[peer][1]} on {inbox.name}"
                last[peer] = place, message.text

    def check_stores(self, data: Path) -> None:
        """Look at the databases of a stopped server. :raises AssertionError: see :meth:`store_problems`"""
        problems = self.store_problems(data)
        assert not problems, f"{problems[:5]}, {len(problems)} in all"

    def store_problems(self, data: Path) -> list[str]:
        """Invariants that are broken in the databases, and mailboxes that lack or repeat something acknowledged."""
        shard_map = directory.need_map(data)
        paths = [directory.shard_path(data, index) for index in shard_map.peers]
        with directory.opened(paths) as stores:
            problems = [p for index, store in enumerate(stores) for p in verify_store(store, index, shard_map)]
            problems += verify_links(stores)
            found: Counter[tuple[int, int, int]] = Counter()
            texts: Counter[tuple[int, int, str]] = Counter()
            crowd = self.crowd
            for store in stores:
                for key, entry in store.scan(schema.QUEUE, b"", b"\xff" * 40):
                    owner, peer = int.from_bytes(key[:8], "big"), int.from_bytes(key[8:16], "big")
                    meta = Meta.FromString(entry)
                    if meta.ns == Meta.MESSAGE and getattr(meta, "from").uid in crowd:
                        found[owner, peer, meta.id] += 1
                        texts[owner, peer, MessageBody.FromString(meta.payload).content] += 1
            for post in self.posts:
                for owner, peer in self._mailboxes(post):
                    if found[owner, peer, post.mid] != 1:
                        times = found[owner, peer, post.mid]
                        problems.append(f"{post.text} is {times} times in queue {peer} of {owner}")
            problems += [
                f"{text!r} is {times} times in queue {peer} of {owner}"
                for (owner, peer, text), times in texts.items()
                if times > 1 and text
            ]
            problems += self._unread_problems(stores)
        return problems

    def due(self, uid: int, peer: int) -> int:
        """How many acknowledged messages of a user's queue a device that wrote none of them has to get."""
        if peer in self.groups:
            return sum(post.to == peer for post in self.posts)
        return sum({post.sender, post.to} == {uid, peer} for post in self.posts)

    def _unread_problems(self, stores: Sequence[Store]) -> Iterator[str]:
        """Unread counts that are not what lies in the store behind the device's cursor."""
        for (uid, sn, peer), told in self.unread.items():
            if peer and peer not in self.crowd and peer not in self.groups:
                continue
            queue = schema.pack_pair(peer if peer in self.groups else uid, peer)
            key = schema.pack_device_peer(uid, sn, peer)
            ends = [int.from_bytes(k[16:], "big") for s in stores for k, _ in _last(s, queue)]
            cursor = max(int.from_bytes(s.get(schema.CURSORS, key) or b"", "big") for s in stores)
            behind = max(ends, default=0) - cursor
            if told != behind:
                yield f"device {sn} of {uid} got {told} unread in queue {peer}, there are {behind}"

    def _mailboxes(self, post: AcknowledgedPost) -> Iterator[tuple[int, int]]:
        if post.to in self.groups:
            yield post.to, post.to
        else:
            yield post.sender, post.to
            yield post.to, post.sender


def _last(store: Store, queue: bytes) -> Iterator[tuple[bytes, bytes]]:
    return store.scan(schema.QUEUE, queue, schema.successor(queue), limit=1, reverse=True)
