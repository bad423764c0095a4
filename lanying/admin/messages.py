"""What a console and the admin endpoint send each other: MessagePack maps with a ``do``, one per ZeroMQ message.

Console to endpoint: :class:`Ask`, :class:`Alive`, :class:`Cancel`. Endpoint to console, any number for one ask, the last
one :class:`Done`, :class:`Failed` or :class:`Again`: :class:`Progress`, :class:`Rows`.
Live events on the PUB socket are two frames: topic, :class:`Event`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class ConsoleMessage(msgspec.Struct, tag_field="do"):
    """Base of everything here."""


class Ask(ConsoleMessage, tag="ask"):
    """Run a command.

    :ivar id: chosen by the console, comes back with every answer
    :ivar arguments: by name, as the table of commands types them
    :ivar dry: say what would be done, do nothing (destructive commands)
    :ivar cursor: where the page before ended, empty for the first
    :ivar limit: rows of a page
    """

    id: int
    command: str
    arguments: dict[str, Any] = {}
    dry: bool = False
    cursor: str = ""
    limit: int = 100
    deadline_s: float = 30.0


class Alive(ConsoleMessage, tag="alive"):
    """The console is still there and waits for these asks; one it does not name for a while is cancelled."""

    ids: list[int]


class Cancel(ConsoleMessage, tag="cancel"):
    """Nobody waits for this ask any more."""

    id: int


class Progress(ConsoleMessage, tag="progress"):
    """How far it is; ``total`` 0: unknown."""

    id: int
    done: float
    total: float
    text: str = ""


class Rows(ConsoleMessage, tag="rows"):
    """A piece of a stream: log lines, frames, samples."""

    id: int
    rows: list[dict[str, Any]]


class Done(ConsoleMessage, tag="done"):
    """The result: a map (one thing), a list of maps (a table), a text or nothing. ``cursor``: there is another page."""

    id: int
    result: Any = None
    cursor: str = ""


class Failed(ConsoleMessage, tag="failed"):
    """Refused or failed. ``code`` is a REST code (402 not allowed, 404 unknown, 408 too late …), the text names the remedy."""

    id: int
    code: int
    message: str


class Again(ConsoleMessage, tag="again"):
    """Started; the admin process restarts meanwhile. Ask ``command`` for the result in about ``seconds``."""

    id: int
    command: str
    text: str
    seconds: float


TOPICS: Final = ("process", "config", "keys", "job", "audit")


class Event(ConsoleMessage, tag="event"):
    """Something happened; ``what`` by topic.

    ``process``: ``process``, ``event`` (started, ready, died, exited, draining, killed), ``pid`` and ``detail``, in words.
    ``config``: ``key``, ``value`` and ``who`` of a setting that was changed, or ``app`` and ``who`` of one that was added.
    ``keys``: ``added`` and ``removed`` names of console keys. ``job``: a row of ``jobs list``, when one begins and ends.
    ``audit``: a line of the audit log.
    """

    topic: str
    time_ms: int
    what: dict[str, Any]


Question = Ask | Alive | Cancel
Answer = Progress | Rows | Done | Failed | Again

_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(Question)
_answers = msgspec.msgpack.Decoder(Answer)
_events = msgspec.msgpack.Decoder(Event)

encode = _encoder.encode
decode_question = _questions.decode
decode_answer = _answers.decode
decode_event = _events.decode
