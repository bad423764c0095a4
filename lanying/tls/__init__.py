"""The tls process: takes TLS connections, and gives the router what is inside of each as a socket like any other.

    client ══ TLS ══ terminator: the handshake ── then, where the kernel has TLS ── router, then shard or gateway
                                               └─ else: relay ── plain, over a socket pair ── router, then shard or gateway

With kernel TLS the router is handed the client's own socket, and this process has nothing more to do with it. Else it is handed the other
end of the pair, and this process goes on relaying. The router (:class:`~lanying.bus.handoff.records.Tunnelled`) treats either as an
accepted connection, so it moves on to a shard or to the gateway as every client's socket does.

- ``tunnel``: one TLS connection as a value: bytes in, bytes out (pure)
- ``records``: where a record ends (pure)
- ``keys``: keys of a connection, from the secrets that the TLS library logs
- ``kernel``: hands a connection's keys to the kernel
- ``relay``: both descriptors of every connection, and what each does not take yet
- ``terminator``: the edge: accepts and shakes hands
- ``newcomers``: who waits for their handshake, and who begins it (pure)
- ``strays``: those who come without TLS
- ``shown``: which certificate a newcomer is shown, and when it is made anew
- ``authority``: the server's own certificate authority, a program of its own
- ``acme``: a public one, asked by a program of its own
- ``names``: what this machine is called
- ``__main__``: the process
"""
