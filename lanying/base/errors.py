"""The exception tree of the server; every module raises one of these or a builtin that says it.

LanyingError
 ├── ConfigError          a setting, the machine or the data directory is wrong; the text names the remedy
 │    ├── DataDirectoryError
 │    └── ShardCountError
 ├── ProtocolError        a peer broke the wire protocol: ``close_code`` (RFC 6455 section 7.4.1), ``reason``
 ├── StoreError           the store cannot serve
 │    ├── SchemaError     written by a newer release
 │    └── StoreFull       no room: nothing was written, nothing may be acknowledged
 ├── BackupError          a backup cannot be made, is damaged, or cannot be restored there; the text names the remedy
 ├── ReshardError         resharding cannot go on; the text names the remedy
 ├── TokenError           an access token is malformed, forged, expired or revoked
 ├── UnexpectedEvent      a defect: an event for which a state machine has no transition; the text names state and event
 └── CallError            a call to another process failed: ``code`` is a REST code
"""

from __future__ import annotations


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


class CallError(LanyingError):
    """A call over the bus was refused by the callee or could not be made.

    :ivar code: REST error code (``rest-api.json`` error_codes; 503 for an unreachable shard)
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
