"""What every part of a shard stands on.

- ``tick``: what is decided between two commits, and the events that decide it
- ``work``: what every part gets: events, ids, sessions, mailboxes, budgets
- ``ports``: what parts need of parts above them, as narrow ports
- ``dispatch``: who handles what arrives from the bus: one table
- ``session``: logged-in devices, alone and by user
- ``mailbox``: queues of users, and their heads
- ``links`` ``link_states`` ``outbox``: this shard's ends of the links to all others, what may become of one, their rows
- ``forwarding``: link messages whose user or group is on another shard now
- ``deferred``: an answer that another shard has to give first
- ``costs``: how long users keep this shard
- ``listed``: public groups, for a list of them
- ``recent``: what happened lately, for operators
"""
