"""Pushes: vendors notify phones of messages that were not seen.

    shard: a message for an absent user is committed, with a row owed (lanying.shard.push.owed)
      │ TakePushes                              ▲ FinishPushes: sent, refused, dead tokens
      ▼                                         │
    service ── GetPushFacts ──▶ letters, decision ──▶ channel ──▶ vendors

``service``  takes what shards owe, asks what decides, reports the end
``letters``  a shard's words as the decision wants them (pure)
``decision`` who is pushed what (pure)
``channel``  the queue of one notifier: a vendor that does not answer is left alone for a while
``vendors``  how each vendor is asked
``__main__`` the process; it runs when an app has a notifier
"""
