"""Work beside the messages, a little with every step.

- ``retention``: deletes what is too old
- ``aging``: moves old entries to the cold tier
- ``inspection``: what operators ask about a running shard
- ``removal``: entries that cannot be judged, and what operators take out
"""
