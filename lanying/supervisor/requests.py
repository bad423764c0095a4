"""What the supervisor's control socket is asked: one JSON object each, which ``do`` tells apart.

==========================================  =============================================================================
``{"do": "status"}``                        every process: what ``lanying-cluster status --json`` shows
``{"do": "stop"}``                          drain and end; the answer has the ``pid`` that ends
``{"do": "restart", "process": null}``      drain everything and start again; answer: ``started`` of before
``{"do": "restart", "process": "shard-0"}`` one process; answer: its ``restarts`` before
``{"do": "push"}``                          there is a first notifier: run a push process
``{"do": "move", "move": {…}, …}``          drain, move slots, start again; ``"dry": true``: only whether it could be done
==========================================  =============================================================================

Answers: ``{"ok": true, …}`` or ``{"ok": false, "error": text}``. Unknown fields are ignored: a newer console asks an older server.
"""

from __future__ import annotations

import msgspec

from lanying.supervisor.move import Move


class StatusRequest(msgspec.Struct, frozen=True, tag_field="do", tag="status"):
    """How is everything?"""


class StopRequest(msgspec.Struct, frozen=True, tag_field="do", tag="stop"):
    """Drain and end."""


class RestartRequest(msgspec.Struct, frozen=True, tag_field="do", tag="restart"):
    """Start one process again, or everything."""

    process: str | None


class PushRequest(msgspec.Struct, frozen=True, tag_field="do", tag="push"):
    """There is a notifier now: run a push process."""


class MoveRequest(msgspec.Struct, frozen=True, tag_field="do", tag="move"):
    """Drain, move slots, start again. ``dry``: only answer whether it could be done."""

    move: Move
    dry: bool


ControlRequest = StatusRequest | StopRequest | RestartRequest | PushRequest | MoveRequest

_decoder = msgspec.json.Decoder(ControlRequest)


def decode_request(data: bytes) -> ControlRequest:
    """:raises msgspec.DecodeError: not JSON, or no request of this release"""
    return _decoder.decode(data)
