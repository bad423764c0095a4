"""The tls process: takes TLS connections, and gives the router what is inside of each as a socket like any other.

    client ══ TLS ══ terminator ── plain, over a socket pair ── router, then shard or gateway

The other end of the pair is handed to the router (:class:`~lanying.bus.handoff.records.Tunnelled`), which treats it as an accepted
connection; so it moves on to a shard or to the gateway as every client's socket does, while this process goes on relaying.

- ``tunnel``: one TLS connection as a value: bytes in, bytes out (pure)
- ``relay``: both descriptors of every connection, and what each does not take yet
- ``terminator``: the edge: accepts and shakes hands
- ``shown``: which certificate a newcomer is shown, and when it is made anew
- ``authority``: the server's own certificate authority, a program of its own
- ``acme``: a public one, asked by a program of its own
- ``names``: what this machine is called
- ``__main__``: the process
"""
