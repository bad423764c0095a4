"""The exception tree of this package: every error of ours is in it, with its module where it is not declared here.

LanyingError
 ├── ConfigError          a setting, the machine or the data directory is wrong; the text names the remedy
 │    ├── DataDirectoryError
 │    └── ShardCountError
 ├── ProtocolError        a peer broke the wire protocol: ``close_code`` (RFC 6455 section 7.4.1), ``reason``
 ├── FrameError           protocol.frame: bytes are no frame of the wire protocol
 ├── BadRequest           protocol.handshake: the head of an HTTP request cannot be taken
 ├── StoreError           the store cannot serve
 │    ├── SchemaError     written by a newer release
 │    ├── StoreFull       no room: nothing was written, nothing may be acknowledged
 │    └── Fenced          shard.ticker: the log has another owner of this shard
 ├── BackupError          a backup cannot be made, is damaged, or cannot be restored there; the text names the remedy
 ├── ReshardError         resharding cannot go on; the text names the remedy
 ├── TokenError           an access token is malformed, forged, expired or revoked
 ├── UnexpectedEvent      a defect: an event for which a state machine has no transition; the text names state and event
 ├── CallError            a call to another process or to REST was refused: ``refusal``, ``code`` for REST
 ├── Refused              an upload or a login was refused: ``refusal``, ``status`` for the wire
 ├── NotRunning           supervisor.control: no supervisor serves the data directory
 ├── NoAnswer             supervisor.control: it is there and did not answer
 ├── CommandError         admin.errors: a console command was refused
 ├── WouldDo              admin.errors: how far a dry run goes
 ├── Cancelled            admin.jobs: somebody cancelled a job
 └── of the client SDK, all in client.events
      ├── Refused         the server did not accept what was sent
      │    └── LoginRefused
      ├── LoggedOut       the server ended this login
      └── Closed          the client was closed by its owner

Reasons of ``CallError`` and ``Refused`` are in :mod:`lanying.base.refusals`.
"""

from __future__ import annotations

from typing import Final

from lanying.base.refusals import Refusal


class LanyingError(Exception):
    """Base of all errors of this package."""


class ConfigError(LanyingError):
    """Configuration or environment does not allow a start; the message contains the remedy."""


class DataDirectoryError(ConfigError):
    """The data directory is in use, not writable or not ours."""


class ShardCountError(ConfigError):
    """The data directory was built with another number of shards."""


class ProtocolError(LanyingError):
    """The peer violated the wire protocol.

    :ivar close_code: WebSocket close code to send (1002, 1003, 1007, 1009 …)
    """

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"{close_code} {reason}")
        self.close_code = close_code
        self.reason = reason


class StoreError(LanyingError):
    """The store cannot answer or write."""


class SchemaError(StoreError):
    """The database was written by a newer release than this one can read."""


class StoreFull(StoreError):
    """The disk has no room; the batch was not written."""


class UnexpectedEvent(LanyingError):
    """A state machine got an event that its state does not know: our defect, never the client's."""


class BackupError(LanyingError):
    """A backup cannot be made or used; the message contains the remedy."""


class ReshardError(LanyingError):
    """Data cannot be moved to another number of shards; the message contains the remedy."""


class TokenError(LanyingError):
    """An access token was refused. ``str(error)`` is fit to be shown to the caller."""


_RETRY_S: Final = {
    Refusal.TOO_MANY_FAILURES: 60.0,
    Refusal.TOO_MANY_MESSAGES: 1.0,
    Refusal.TOO_MANY_REQUESTS: 1.0,
    Refusal.UNAVAILABLE: 1.0,
}
"""When something refused for being too much is worth trying again, unless whoever refuses it knows better."""


class CallError(LanyingError):
    """A request was refused by whoever answers it, or could not be made.

    :param message: for people, in place of the default of ``refusal``
    :param code: REST code, where a client was answered one that is not in our table
    :param retry_s: when it is worth trying again, 0: as for others of this refusal
    :ivar retry_s: the same, 0: never, or nobody knows
    """

    def __init__(self, refusal: Refusal, message: str = "", code: int = 0, retry_s: float = 0.0) -> None:
        self.refusal = refusal
        self.retry_s = retry_s or _RETRY_S.get(refusal, 0.0)
        self.code = code or refusal.code
        self.message = message or refusal.message
        super().__init__(self.message)


class Refused(LanyingError):
    """An upload or a login is not accepted (xsync 5.1, 5.6).

    :ivar reason: text the client shows, without the remedy: clients compare some of them
    :ivar message: the same for people, with the remedy
    :ivar retry_s: as in :class:`CallError`
    """

    def __init__(self, refusal: Refusal, reason: str = "", retry_s: float = 0.0) -> None:
        super().__init__(reason or refusal.text)
        self.retry_s = retry_s
        self.refusal = refusal
        self.reason = reason or refusal.text
        self.message = reason or refusal.message

    @property
    def status(self) -> int:
        """The wire protocol's code."""
        return self.refusal.status
