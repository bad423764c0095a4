"""Between processes: ZeroMQ PUSH/PULL over ipc, one blob per peer and tick.

``messages``   every bus message, one class each: the map of who tells whom what
``transport``  carries blobs: joins what a tick owes a peer, splits what came in
``link``       numbered, acknowledged, resent from the outbox: for what must not be lost
``call``       request and response with a deadline: for the gateway and the console
``shards``     calls by user, group or name: which shard is asked
``handoff``    moves an accepted client socket to the process that will serve it

``transport`` and ``handoff`` are the only modules that assume a peer on the same host.
"""
