"""The REST gateway: HTTP in, calls to shards out. It keeps nothing that a restart could lose.

``__main__``   the process: bus, hand-off, heartbeats, metrics listener
``adopt``      sockets the router hands over become HTTP connections
``app``        the ASGI application: CORS, body limit, one way through for every request, errors as envelopes
``endpoint``   what a request handler gets and gives; a table row per path
``params``     parameters from query or body, lenient about both
``auth``       who is calling: tokens, admins acting as users
``codes``      REST codes and their meaning
``batch``      many rows of one call  ``handles``   names that lead to a user
``code_book``  short-lived secrets    ``sms``       how a code reaches a phone
``contract``   every call of the API as data, from ``contract.json``; ``openapi`` tells it to clients

Areas, each a table ``ENDPOINTS``: ``discovery`` ``registration`` ``sign_in`` ``code_logins`` ``phones`` ``users``
``user_administration`` ``push_bindings`` ``push_tasks`` ``not_offered`` ``rosters``
``roster_administration`` ``groups`` (with ``group_members``
``group_entry`` ``group_items``; they share ``group_visit`` and the QR texts of ``group_codes``)
"""
