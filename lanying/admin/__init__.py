"""The admin console: one process of the server answers, ``lanying-admin`` asks.

- ``commands``: the table, and a module of handlers for each noun
- ``visit``: what a handler gets; the types of the table
- ``errors``: how a command ends without a result
- ``server``: the port of the handlers to shards, supervisor and data directory
- ``jobs``: commands that go on after their answer
- ``endpoint``: the ZeroMQ sockets: who may ask what, deadlines, cancelling
- ``doors`` ``keys``: the CURVE sockets of consoles that come over the network, their keys and roles
- ``messages``: what console and endpoint say to each other
- ``followers``: consoles that follow logs and events
- ``audit``: the hash-chained log of everything that was changed
- ``console``: ``lanying-admin``, the asking side, which runs anywhere
"""
