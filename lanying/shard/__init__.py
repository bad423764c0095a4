"""A shard: the process that owns the users and groups of its hash slots, pinned to one core.

========  ===========================================================================================================
room      what is in it; each stands on those below
========  ===========================================================================================================
upkeep    what has time: retention, aging into the cold store, what operators ask
push      pushes owed to the push process, and those back ends order
groups    everything with a gid: records, members, timelines
chat      a message between users: frames in, delivery, operations, pull loops, history
accounts  what users are: accounts, logins, devices, the roster, files, codes
core      what all stand on: the tick, the Work that is done in it, queues and heads, sessions, links, the dispatch tables
store     rows on disk
========  ===========================================================================================================

All of that is pure (no loop, no sockets, ``now`` is an argument); ``shard`` puts it together. Edges:
``sockets`` reads all that are ready and lets the shard decide, ``ticker`` commits once, to the log, and only then lets it write;
``runner`` has the bus and the clock, ``worker`` the thread that moves old entries to the cold store; ``__main__`` is the process.
"""
