"""Who owns what, and where it is reached.

- ``shardmap``: which shard owns which hash slot
- ``directory``: owner and address of every slot and process: the one place that is asked
- ``runtime``: the files and sockets of a data directory, and the names of processes
- ``launch``: what a child process is given at its start
"""
