"""An asyncio client of a lanying server.

``session``  the protocol as a value: bytes in, events and bytes out (no socket, no clock)
``client``   :class:`Client`: the session on a socket, with REST, reconnects and resends
"""

from lanying.client.client import Client
from lanying.client.session import (
    Connected,
    Disconnected,
    Event,
    Kicked,
    LoginRefused,
    Message,
    Notice,
    Operation,
    Page,
    Refused,
    Sent,
)

__all__ = [
    "Client",
    "Connected",
    "Disconnected",
    "Event",
    "Kicked",
    "LoginRefused",
    "Message",
    "Notice",
    "Operation",
    "Page",
    "Refused",
    "Sent",
]
