"""Pushes this shard owes.

- ``owed``: noted with the message's commit, kept until the push process is done
- ``orders`` ``targets``: pushes that back ends order, and whom they reach
"""
