"""A shard: the process that owns the users and groups of its hash slots, pinned to one core.

Pure (no loop, no sockets, ``now`` is an argument):
``session``      one logged-in device: frames in, frames out      ``registry``  user -> devices -> sessions
``mailbox``      queues, cursors, pull loops                      ``delivery``  from an accepted message to everyone who gets it
``accounts`` ``devices`` ``roster`` ``policy``                    what users are, and may do
``ports``        what those may ask of the world                  ``store/``    what is kept

Edges: ``runner`` reads all ready sockets, lets the pure part decide, commits once, and only then writes.
``__main__`` is the process.
"""
