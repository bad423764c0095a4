"""What somebody set, and where it came from.

- ``schema``: every setting: its table, type and default
- ``load``: where the values of a start come from: profile, file, environment, command line
- ``runtime``: what may change while a process runs
- ``allotment``: limits that follow from the machine's memory and cores
- ``profiles``: settings for small machines
- ``apps``: the apps of a server, their keys and own settings
- ``certificates``: what is shown to TLS clients, read again when its files change
- ``notifiers``: vendor certificates, encrypted
"""
