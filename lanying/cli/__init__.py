"""``lanying-cluster``: what people type.

- ``main``: start, stop, status, and the table of exit codes
- ``storage``: backup, restore, reshard, verify
- ``notifier``: vendor certificates
- ``trust``: what devices need to trust the server's own certificate authority
- ``service`` ``unit``: the server as a systemd service
"""
