"""Messages and pushes over REST.

``messages``    send, recall, read, history, unread; notices and broadcasts of the server
``push_tasks``  pushes that are ordered without a message
"""
