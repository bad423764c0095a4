"""The REST gateway: HTTP in, calls to shards out. It keeps nothing that a restart could lose.

``__main__``   the process: bus, hand-off, heartbeats, metrics listener
``server``     an HTTP server on sockets the router hands over
``app``        the ASGI application: one way through for every request, errors as envelopes
``admin``      what the administration page asks

Rooms:

``http``       what every request handler stands on: context, parameters, token, metrics, pages
``contract``   every call of the API as data, and what clients read of it
``accounts``   registration, log in, phones, profiles, administration of users
``social``     friends and blocks
``groups``     groups, their members, entry, announcements and shared files
``messages``   send, recall, history, unread; push tasks
``files``      uploads and downloads
``services``   what handlers of all rooms share, without any request: limits, the file store, SMS

From ``accounts`` to ``files`` each room is an area of the API: its modules have tables ``ENDPOINTS``, which ``app`` joins. Areas stand on
``http``, ``http`` on ``services``; of each other they know only ``accounts``, and none knows ``app``. Reasons for refusals are in
:mod:`lanying.base.refusals`.
"""
