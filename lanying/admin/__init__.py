"""The admin console: one process of the server answers, ``lanying-admin`` asks.

``commands``   the table: every command with its arguments, role, help and handler
``visit``      what a handler gets; the types of the table
``endpoint``   the ZeroMQ sockets: who may ask what, deadlines, cancelling, the audit log's entries
``server``     the port of the handlers to shards, supervisor and data directory
``messages``   what console and endpoint tell each other
``keys``       CURVE keys and roles of consoles that come over the network
``audit``      the hash-chained log of everything that was changed

Handlers, one noun each: ``status`` ``users``

The console's side, which runs elsewhere: ``client`` asks; ``cli`` is ``lanying-admin``; ``render`` shows; ``repl`` is interactive.
"""
