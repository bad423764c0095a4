"""What is done to a data directory as a whole: backup, restore, resharding, verification.

================ =====================================================================================================
``directory``    the databases of a data directory: paths, opening, files written so that a crash leaves old or new
``readonly``     a database opened without changing it
``verify``       invariants of one store and of all shards together
``drain``        delivers everything that is under way between shards, without a server
``reshard``      moves everything to another number of shards (``journal``: how far it got)
``mover``        moves slots for the running server, which is stopped in between
``forget_cold``  gives cold stores up whose disk is lost
``snapshot``     an instant picture of running databases, by hard links
``hold``         asks running shards to stand still towards each other for that instant
``manifest``     the format of a backup
``backup``       makes one; ``check`` verifies one; ``restore`` makes a data directory of one
``renew``        what a restore makes new: tokens, counters, codes
``progress``     how long work reports how far it is
================ =====================================================================================================

Everything here is used by command-line tools, never by a serving process.
"""
