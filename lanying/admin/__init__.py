"""The admin console: one process of the server answers, ``lanying-admin`` asks.

- ``commands``: the table, and a module of handlers for each noun
- ``context``: what a handler gets; the types of the table
- ``errors``: how a command ends without a result
- ``server`` ``files``: the port of the handlers to shards and supervisor; and to the data directory
- ``jobs``: commands that go on after their answer
- ``endpoint``: the ZeroMQ sockets: who asks, who has gone, keys that change
- ``asks`` ``arguments``: one ask from the table to its last answer; its arguments, checked and as the audit log keeps them
- ``doors`` ``curve`` ``keys``: the sockets that listen; who may connect over the network; keys and roles
- ``messages``: what console and endpoint say to each other
- ``followers``: consoles that follow logs and events
- ``announced``: the server's name in a network without a name server (mDNS)
- ``audit``: the hash-chained log of everything that was changed
- ``console``: ``lanying-admin``, the asking side, which runs anywhere
"""
