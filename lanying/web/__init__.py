"""The web client, its SDK and the admin page: static files, served by :mod:`lanying.gateway.http.pages`; no build step.

``index.html`` and ``admin.html`` are the pages, ``app/`` and ``admin/`` their code, ``sdk/`` the JavaScript client for everybody,
``trust.html`` what people need who come to trust the server,
``style/`` the looks, ``vendor/`` released files of others with their licences.
"""
