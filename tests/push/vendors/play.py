"""A server that plays vendors: HTTP/2 and HTTP/1.1 over TLS, answers as told, remembers what it was asked."""

import asyncio
import contextlib
import socket
import ssl

import hypercorn.asyncio
import hypercorn.config
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.push.vendors.keys import certificate

NEVER = "never"
"""Instead of an answer."""


class Play:
    """Answers by path, in the order they were given; the last one again and again."""

    def __init__(self):
        self.asked, self.ports, self._answers, self.url = [], [], {}, ""
        """``ports``: of the client, in the order of the requests: its connections."""

    def on(self, path, *answers):
        """``answers``: JSON values, or (status, JSON value, headers), or bytes, or :data:`NEVER`."""
        self._answers[path] = list(answers)

    def paths(self):
        return [path for _version, path, _headers, _body in self.asked]

    async def answer(self, request):
        self.asked.append((request.scope["http_version"], request.url.path, request.headers, await request.body()))
        self.ports.append(request.client.port)
        answers = self._answers[request.url.path]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if found is NEVER:
            await asyncio.Event().wait()
        if isinstance(found, bytes):
            return Response(found)
        status, value, headers = found if isinstance(found, tuple) else (200, found, {})
        return JSONResponse(value, status, headers)


@contextlib.asynccontextmanager
async def stage(directory, strangers=True):
    """A playing server on a port of its own; ``SSL_CERT_FILE`` has to name ``directory / "tls.pem"``.

    :param strangers: serve also clients without a certificate
    """
    play = Play()
    file = directory / "tls.pem"
    file.write_text(certificate())
    config = hypercorn.config.Config()
    config.certfile = config.keyfile = str(file)
    if not strangers:
        config.verify_mode = ssl.CERT_REQUIRED
        config.ca_certs = str(file)
    config.graceful_timeout = 0
    config.errorlog = None
    listener = socket.create_server(("127.0.0.1", 0))
    play.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    config.bind = [f"fd://{listener.detach()}"]
    app = Starlette(routes=[Route("/{path:path}", play.answer, methods=["POST"])])
    stop = asyncio.Event()
    serving = asyncio.ensure_future(hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait))
    try:
        yield play
    finally:
        stop.set()
        await asyncio.wait_for(serving, 60)
