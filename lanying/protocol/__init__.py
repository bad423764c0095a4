"""The client wire protocol as values: bytes in, frames out; no socket, no loop, no clock.

    bytes of the socket ──► handshake ──► websocket ──► connection ──► frame ──► schema (protobuf)
                            HTTP head     RFC 6455      Socket.IO 2    Frame     payloads
                            and 101       messages      or bare XSync  header

============  =====================================================================================
proxy         PROXY headers, in front of the first byte of a client
handshake     request head of a new connection, the upgrade and its answer, both roles
websocket     RFC 6455 framing, both roles
connection    frames over WebSocket: ``/socket.io/`` (the web SDK) and ``/xsync`` (native clients)
frame         the Frame around every payload: parsing, and builders that splice bytes
schema        ``xsync.proto`` and the module generated from it
============  =====================================================================================

Each module uses only those to the left of it, except that ``frame`` and ``schema`` know nothing of transports. The
router reads a head and the login frame, then hands the socket and :attr:`Connection.unread` to a shard, which builds an
equal :class:`~lanying.protocol.connection.Connection` and goes on. Server and client SDK use the same classes with
another role.

The wire is specified by ``xsync.proto``; what the server does where the protocol leaves it free, by docs/protocol.md. What
*xsync 5.1* refers to, docs/glossary.md says.
"""
