"""The router process: owns a client socket from accept to login, then hands it to a shard (or to the gateway) and forgets it.

    listener (edge) ── bytes ──▶ arrival ── login frame ──▶ login
        │  ▲                        │ actions: write, to gateway, to shard, close
        │  └────────────────────────┘
        └── descriptor + record ──▶ bus.handoff

============  =======================================================================================
arrival       pure: one connection before its login, bytes in, actions out
login         pure: a login frame to "this shard" or a refusal
refusals      pure: which refused logins are a line of the log
listener      the edge: accepts, reads, performs actions; descriptors in one epoll inside the loop
__main__      the process: wires the listener to hand-off, heartbeats and signals
============  =======================================================================================
"""
