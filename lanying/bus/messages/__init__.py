"""Every message of the bus, one class each.

:mod:`base`       what a message is; which tags belong to which area
:mod:`envelopes`  what travels between two processes
:mod:`links`      shard to shard, exactly once and in order
:mod:`accounts`   calls, and so are :mod:`roster` :mod:`names` :mod:`messages` :mod:`groups` :mod:`members` :mod:`files` :mod:`push`
:mod:`operators`  calls of operators; some are asked of the admin process

A call is a class that names its result: ``class GetGroups(Request[list[GroupView]], tag=111)``. Whoever asks gets that
type, and a handler of the shard that returns another one is a type error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Union

import msgspec

from lanying.bus.messages.accounts import *  # noqa: F403
from lanying.bus.messages.base import AdminRequest as AdminRequest
from lanying.bus.messages.base import Envelope as Envelope
from lanying.bus.messages.base import LinkMessage as LinkMessage
from lanying.bus.messages.base import Message as Message
from lanying.bus.messages.base import Question as Question
from lanying.bus.messages.base import R, kinds, result_type
from lanying.bus.messages.base import Request as Request
from lanying.bus.messages.envelopes import *  # noqa: F403
from lanying.bus.messages.files import *  # noqa: F403
from lanying.bus.messages.groups import *  # noqa: F403
from lanying.bus.messages.links import *  # noqa: F403
from lanying.bus.messages.members import *  # noqa: F403
from lanying.bus.messages.messages import *  # noqa: F403
from lanying.bus.messages.names import *  # noqa: F403
from lanying.bus.messages.operators import *  # noqa: F403
from lanying.bus.messages.push import *  # noqa: F403
from lanying.bus.messages.roster import *  # noqa: F403

encode = msgspec.msgpack.Encoder().encode


def _union(classes: Iterable[type[Message]]) -> Any:
    return Union[tuple(classes)]  # noqa: UP007


decode_envelope: Callable[[bytes], Envelope] = msgspec.msgpack.Decoder(_union(kinds(Envelope))).decode
decode_bundle: Callable[[bytes], list[LinkMessage]] = msgspec.msgpack.Decoder(list[_union(kinds(LinkMessage))]).decode  # type: ignore[misc]
decode_request: Callable[[bytes], Request[object]] = msgspec.msgpack.Decoder(_union(kinds(Request))).decode
decode_admin_request: Callable[[bytes], AdminRequest[object]] = msgspec.msgpack.Decoder(
    _union(kinds(AdminRequest))
).decode


@cache
def _result_decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(result_type(kind))


def decode_result(request: Question[R], answer: bytes) -> R:
    """The result of ``request`` from the bytes of its reply. :raises msgspec.DecodeError: it is something else"""
    result: R = _result_decoder(type(request)).decode(answer)
    return result
