"""The first process: it owns the public port, runs the others and restarts them.

- ``launcher``: the steps of a start; each refuses before anything runs
- ``precheck`` ``machine`` ``datadir``: what a start needs: cores, descriptors, ports; the data directory and its lock
- ``plan``: what is to run
- ``fork_server`` ``forking``: what the processes are forked from, a process of its own; the supervisor's end of it
- ``kinship``: what the kernel does when a parent ends
- ``children``: decisions about children: start order, backoff, hung ones, drain order (pure)
- ``supervisor``: the process
- ``control`` ``requests`` ``answers``: its control socket, both ends; what it is asked and what it answers
- ``banner`` ``report``: what a start prints; what ``status`` shows
- ``move``: a move of slots that the running server was asked for
- ``notify`` ``daemon``: reporting to systemd; leaving the terminal
"""
