"""What a shard answers to requests for slots it does not own: *moved*, never "no such user"; and what the caller does about it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lanying.base.errors import CallError
from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.call import Calls
from lanying.bus.messages import Call, Question, Reply, encode
from lanying.cluster.directory import Directory, Moved


class Ownership:
    """The slots of one shard, by the newest map it can get."""

    def __init__(self, directory: Directory, shard: int) -> None:
        self._directory = directory
        self._shard = shard

    def login(self, uid: int) -> Moved | None:
        """Why the shard does not take a user's connection; None: the user is its own."""
        return self._moved(slot_of(uid))

    def call(self, call: Call) -> Reply | None:
        """The refusal of a call, which has done nothing; None: it is for this shard."""
        moved = next(filter(None, map(self._moved, call.slots)), None)
        return None if moved is None else Reply(call.id, Refusal.MOVED, Refusal.MOVED.message, encode(moved))

    def _moved(self, slot: int) -> Moved | None:
        moved = self._directory.moved(self._shard, slot)
        if moved is not None:  # whoever asks may know a newer map
            self._directory.refresh()
            moved = self._directory.moved(self._shard, slot)
        return moved


def owner_now(directory: Directory, reply: Reply) -> int:
    """The shard to ask instead of one that answered *moved*. :raises CallError: nothing newer is known here, the slot is on its way"""
    moved = msgspec.msgpack.decode(reply.body, type=Moved)
    if not directory.learn(moved):
        raise CallError(Refusal.UNAVAILABLE, f"slot {moved.slot} is moving, try again")
    return directory.map.slots[moved.slot]


def ask_owner(
    calls: Calls,
    directory: Directory,
    entity_id: int,
    request: Question[object],
    done: Callable[[Reply], None],
    timeout_s: float,
) -> None:
    """Ask the shard that owns a user or group. One that does not own it did nothing: the owner that it names is asked, once.

    ``done`` is called once with the answer, as by :meth:`~lanying.bus.call.Calls.begin`.
    """
    slot = slot_of(entity_id)

    def begin(shard: int, answered: Callable[[Reply], None]) -> None:
        calls.begin(directory.process(shard), request, answered, timeout_s, (slot,))

    def first(reply: Reply) -> None:
        if reply.refusal is not Refusal.MOVED:
            done(reply)
            return
        try:
            owner = owner_now(directory, reply)
        except CallError as error:
            done(Reply(reply.id, error.refusal, error.message))
        else:
            begin(owner, done)

    begin(directory.owner(entity_id), first)
