"""Every call of the API as data, made from the reference by ``tools/reduce_contract.py``.

``contract``     ``contract.json``, typed
``openapi``      the same for clients: ``/openapi.json`` and ``/docs``
``not_offered``  calls of the reference that need what this server does not have
"""
