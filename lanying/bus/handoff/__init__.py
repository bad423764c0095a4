"""A client's socket moves from the router to the process that serves it, with everything read from it so far.

- ``wire``: the format: records and descriptors over a unix socket
- ``records``: what travels with a socket
- ``sender``: the router's end: it owns a descriptor until the answer
- ``receiver``: the other end: it accepts or refuses
"""
