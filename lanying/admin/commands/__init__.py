"""Handlers of console commands, one noun each.

- ``table``: every command with its arguments, role, help and handler
- ``status`` ``top`` ``doctor``: how the server is: at a glance, live, and what is wrong with its machine
- ``patient`` ``certificate``: what the doctor looks at and finds; its look at TLS
- ``users`` ``groups`` ``posts`` ``apps`` ``tokens``:
  what operators do for people: accounts, groups, messages, apps, tokens
- ``entries``: stored messages that cannot be judged, and taking out any
- ``why`` ``trace`` ``logs`` ``events`` ``record``:
  what happened: to one message, to one user, in logs, live, in the audit log
- ``settings`` ``shards`` ``jobs`` ``backups`` ``compaction``: what operators do with the server
- ``web``: what the administration page asks for
"""
