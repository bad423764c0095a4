"""What tests, benchmarks and ``crash-test`` stand on.

- ``poll``: waiting for a named condition
- ``process_state``: what a test puts back behind itself
- ``simulation`` ``shards``: shards without processes, sockets or clocks
- ``power_cut``: power failures in a simulation, at random, and what has to be true afterwards
- ``screen``: what a device shows
- ``playbook``: conversations as scripts
- ``cluster`` ``ports``: a real server on a free port
- ``crowd`` ``ledger``: many clients, and what they were promised
- ``raw``: a client down to the bytes
- ``disk`` ``crash_test``: the promise tested on the user's own disk
"""
