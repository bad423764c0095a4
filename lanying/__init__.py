"""An instant-messaging server that never loses an acknowledged message. ``ARCHITECTURE.md`` is the walk through it.

- ``base``: the ground: errors, limits, ids, logs
- ``config``: what somebody set, and where it came from
- ``cluster``: who owns what, and where it is reached
- ``protocol``: the client wire as values
- ``bus``: what processes say to each other, and how it gets there
- ``supervisor`` ``router`` ``tls`` ``shard`` ``gateway`` ``push`` ``admin``: the processes; they meet on the bus alone
- ``storage``: what is done to a data directory as a whole
- ``cli``: what people type
- ``client``: the SDK
- ``web``: the pages
- ``testing``: what tests, benchmarks and ``crash-test`` stand on
"""

__version__ = "0.1.0"
