"""lanying: an instant-messaging server for small machines.

The path of a message, by package:

``router``   accepts a socket, reads the login, hands the descriptor over
``shard``    owns users and groups: sessions, mailboxes, store, delivery
``bus``      carries envelopes between processes: links (never lost) and calls (request, response)
``gateway``  the REST API and discovery
``protocol`` the client wire protocol as values: bytes in, events out
``client``   an asyncio client of that protocol
"""

__version__ = "0.1.0"
