"""An asyncio client of a lanying server: the protocol package with the roles turned round.

    application ──► client ──► session ──► protocol        rest ──► HTTP
                    socket,    state,      bytes
                    waiting    resends

============  =====================================================================================
client        :class:`Client`: one device on a socket, and the calls of an application
session       the state machine: logins, resends, pull loops, time; bytes in, events and bytes out
outgoing      what can be sent: messages, typing, read marks, recalls, edits
events        what comes: events, answers, and the errors a session ends with
trust         which server's certificate is good, and what to do when one is not
rest          registration, tokens, discovery, any REST call
============  =====================================================================================

docs/try_it.py is a complete program.
"""

from lanying.base.errors import CallError
from lanying.client import outgoing
from lanying.client.client import Client
from lanying.client.events import (
    Closed,
    Connected,
    Disconnected,
    Event,
    Kicked,
    LoggedOut,
    LoginRefused,
    Message,
    Notice,
    Operation,
    Page,
    Refused,
    Sent,
    ServerError,
    Typing,
    Unread,
)
from lanying.client.outgoing import Outgoing
from lanying.client.session import Session

__all__ = [
    "CallError",
    "Client",
    "Closed",
    "Connected",
    "Disconnected",
    "Event",
    "Kicked",
    "LoggedOut",
    "LoginRefused",
    "Message",
    "Notice",
    "Operation",
    "Outgoing",
    "Page",
    "Refused",
    "Sent",
    "ServerError",
    "Session",
    "Typing",
    "Unread",
    "outgoing",
]
