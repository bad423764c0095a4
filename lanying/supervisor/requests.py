"""What the supervisor's control socket is asked: one JSON object each, whose kind is in ``do``.

==========================================  =============================================================================
``{"do": "status"}``                        every process: what ``lanying-cluster status --json`` shows
``{"do": "stop"}``                          drain and end; the answer has the ``pid`` that ends
``{"do": "restart", "process": null}``      drain everything and start again; answer: ``started`` of before
``{"do": "restart", "process": "shard-0"}`` one process; answer: its ``restarts`` before
``{"do": "push"}``                          there is a first notifier: run a push process
``{"do": "move", "move": {…}, …}``          drain, move slots, start again; ``"dry": true``: only whether it could be done
==========================================  =============================================================================

What is answered is in :mod:`lanying.supervisor.answers`, by the type in a request's base: a wrong one is a type error. Unknown fields are
ignored: a newer console asks an older server.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from lanying.supervisor.answers import ControlAnswer, Ending, Restarting, Status
from lanying.supervisor.move import Move

A = TypeVar("A", bound=ControlAnswer, covariant=True)


class Asked(msgspec.Struct, Generic[A], frozen=True, tag_field="do"):
    """Base of all; ``A`` is the type of the answer."""


class StatusRequest(Asked[Status], frozen=True, tag="status"):
    """How is everything?"""


class StopRequest(Asked[Ending], frozen=True, tag="stop"):
    """Drain and end."""


class RestartRequest(Asked[Restarting], frozen=True, tag="restart"):
    """Start one process again, or everything."""

    process: str | None


class PushRequest(Asked[ControlAnswer], frozen=True, tag="push"):
    """There is a notifier now: run a push process."""


class MoveRequest(Asked[Restarting], frozen=True, tag="move"):
    """Drain, move slots, start again. ``dry``: only answer whether it could be done."""

    move: Move
    dry: bool


ControlRequest = StatusRequest | StopRequest | RestartRequest | PushRequest | MoveRequest

_decoder = msgspec.json.Decoder(ControlRequest)


def answer_type(request: Asked[A]) -> type[A]:
    """The type of its answer."""
    [base] = type(request).__orig_bases__  # type: ignore[attr-defined]
    [found] = base.__args__
    return found  # type: ignore[no-any-return]


def decode_request(data: bytes) -> ControlRequest:
    """:raises msgspec.DecodeError: not JSON, or no request of this release"""
    return _decoder.decode(data)
