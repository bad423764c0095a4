"""Between processes: ZeroMQ PUSH/PULL over ipc, one blob per peer and tick.

``messages``   every bus message by area, one class each; a call's class names its result
``transport``  carries blobs: joins what a tick owes a peer, splits what came in
``call``       request and response; a call carries the request it belongs to and the time that one has left
``shards``     calls by user, group or name: which shard is asked, and where to ask when the slot has moved
``ownership``  what a shard answers to requests for slots it does not own, and how a caller follows
``handoff``    moves an accepted client socket to the process that will serve it

Where a process is reached, :class:`lanying.cluster.directory.Directory` says. ``transport`` (ipc sockets) and ``handoff``
(descriptors over a Unix socket) need the peer on the same host.
"""
