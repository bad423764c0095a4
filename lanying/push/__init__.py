"""What vendors are told of messages nobody has seen: pushes.

:mod:`~lanying.push.decision` says who is pushed what (pure), :mod:`lanying.push.vendors` tells the vendors.
"""
