"""What a shard keeps.

``base``    the interface: families of sorted keys, atomic batches, a separate flush
``schema``  every key layout, specified
``rocks``   RocksDB
``memory``  its twin for tests and simulations
"""
