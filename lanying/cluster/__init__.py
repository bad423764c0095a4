"""Who owns what, and where it is reached.

- ``shardmap``: which shard owns which hash slot
- ``directory``: owner and address of every slot and process: the one place that is asked
- ``runtime``: the files of a data directory, and what a child process is given at its start
"""
