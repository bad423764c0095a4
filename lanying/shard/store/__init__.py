"""What a shard keeps.

``base``    the interface: families of sorted keys, atomic batches, a separate flush
``schema``  every key layout, specified
``records`` a sealed tick as a record of a log elsewhere
``rocks``   RocksDB
``rocks_options`` in which shape it keeps what
``overlay`` reads that see a tick before it is written
``memory``  the twin of ``rocks`` for tests and simulations
``tiers``   a store over a hot and a cold one
``placement`` which rows move with which hash slot
``cold``    the RocksDB of the cold tier, on another disk
"""
