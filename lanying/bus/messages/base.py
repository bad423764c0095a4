"""What every message of the bus is, and which tags belong to which area.

Wire shape: a blob is a run of ``u32 length (big-endian) + MessagePack``; each piece is one *envelope*, an array whose
first element is the tag of its class. Link messages and the bodies of calls are encoded the same way inside their
envelope, so an outbox row holds bytes that go into any number of resends unparsed.

A new field goes to the end with a default: while a server restarts, old and new processes talk to each other. A tag
that is in stored rows (link messages in outboxes, ``Invited``, ``OrderPushes`` with its ``PushTargets``) never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, ParamSpec, TypeVar, get_args

import msgspec

R = TypeVar("R", covariant=True)
P = ParamSpec("P")

AREAS: Final[dict[str, tuple[range, ...]]] = {
    "envelopes": (range(1, 20),),
    "links": (range(20, 40), range(220, 240), range(320, 321), range(379, 380)),
    "accounts": (range(41, 50), range(60, 64), range(262, 264), range(273, 274), range(317, 318)),
    "roster": (range(40, 41), range(64, 90)),
    "names": (range(260, 262), range(264, 269), range(270, 273)),
    "messages": (range(100, 103), range(308, 317)),
    "members": (range(103, 104), range(117, 134), range(380, 390)),
    "groups": (range(110, 117), range(134, 160)),
    "files": (range(300, 308),),
    "push": (range(269, 270), range(274, 275), range(370, 379)),
    "operators": (range(340, 370),),
}
"""Tags of the modules of this package. Most areas have one range; the further ones are tags given before there were areas."""


class Message(msgspec.Struct, array_like=True):
    """Base of everything on the bus: encoded as an array ``[tag, field, …]``."""


class Envelope(Message):
    """Base of what travels by itself between two processes."""


class LinkMessage(Message):
    """Base of what goes from shard to shard exactly once and in order."""


class Question(Message, Generic[R]):
    """Base of every call; ``R`` is the type of its result."""


class Request(Question[R]):
    """Base of what a shard is asked."""


class AdminRequest(Question[R]):
    """Base of what the admin process is asked."""


def answers(kind: type[Question[R]]) -> Callable[[Callable[P, R]], tuple[type[Message], Callable[P, object]]]:
    """A row of a table of handlers: ``dict([answers(GetGroups)(groups.views), …])``. One that answers another type is a type error."""

    def row(handler: Callable[P, R]) -> tuple[type[Message], Callable[P, object]]:
        return kind, handler

    return row


def kinds(base: type[Message]) -> Iterator[type[Message]]:
    """The classes below ``base`` that have a tag, in the order they were declared; a class with two bases comes twice."""
    for kind in base.__subclasses__():
        if kind.__struct_config__.tag is not None:
            yield kind
        yield from kinds(kind)


def result_type(kind: type[Message]) -> Any:
    """The result type in ``class GetGroups(Request[list[GroupView]])``, for a decoder; a base in between is looked through."""
    [declared] = kind.__orig_bases__  # type: ignore[attr-defined]
    [result] = get_args(declared)
    return result
