"""The ASGI application: every request goes one way through :func:`_respond` and comes out as an envelope.

``{"code": DONE, "data": …, "message": null}``, with HTTP 200 also for errors of the business kind; only a path, method
or body that is none of ours has an HTTP status of its own (xsync section 2.1).
"""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from lanying.base import limits, logs, watched
from lanying.base.context import request_id, taken
from lanying.base.errors import CallError
from lanying.base.rate import RateLimiter
from lanying.base.refusals import DONE, Refusal
from lanying.config.apps import App
from lanying.gateway import admin
from lanying.gateway.accounts import (
    code_logins,
    discovery,
    phones,
    push_bindings,
    registration,
    sign_in,
    user_administration,
    users,
)
from lanying.gateway.contract import not_offered, openapi
from lanying.gateway.files import downloads, files
from lanying.gateway.groups import groups
from lanying.gateway.http import pages, trust
from lanying.gateway.http.auth import authenticate, has_token
from lanying.gateway.http.endpoint import Endpoint, PagedResult, Raw, RequestContext
from lanying.gateway.http.error_codes import HTTP_STATUS
from lanying.gateway.http.first_call import FirstCall
from lanying.gateway.http.front import PREFIX, Front
from lanying.gateway.http.metrics import Metrics
from lanying.gateway.http.packing import pack
from lanying.gateway.http.params import parse, read
from lanying.gateway.messages import messages, push_tasks
from lanying.gateway.services.services import Services
from lanying.gateway.social import roster_administration, rosters

log = logging.getLogger(__name__)

ENDPOINTS: Final = (
    *admin.ENDPOINTS,
    *discovery.ENDPOINTS,
    *openapi.ENDPOINTS,
    *registration.ENDPOINTS,
    *sign_in.ENDPOINTS,
    *code_logins.ENDPOINTS,
    *phones.ENDPOINTS,
    *users.ENDPOINTS,
    *user_administration.ENDPOINTS,
    *push_bindings.ENDPOINTS,
    *push_tasks.ENDPOINTS,
    *not_offered.ENDPOINTS,
    *rosters.ENDPOINTS,
    *roster_administration.ENDPOINTS,
    *groups.ENDPOINTS,
    *files.ENDPOINTS,
    *downloads.ENDPOINTS,
    *messages.ENDPOINTS,
)

_numbers = itertools.count(1)
"""Every request has an id: in its answer, in the log of the gateway, and in that of a shard that fails on it."""
_CALLER: Final = "lanying.uid"
_NO_APP: Final = App("", "", "")
NO_APP_ID: Final = (
    "the request names no app; send its id in the header app_id (nginx drops it unless underscores_in_headers is on) "
    "or in app-id"
)


class _Head(msgspec.Struct):
    """Parameters that may stand in for a header."""

    app_id: str = ""
    access_token: str = msgspec.field(name="access-token", default="")


def build(services: Services, metrics: Metrics | None = None) -> ASGIApp:
    """The application over these services."""
    figures = metrics or Metrics()
    app = Starlette()
    app.router.redirect_slashes = False
    for endpoint in ENDPOINTS:
        app.add_route(endpoint.path, _route(services, figures, endpoint), methods=list(endpoint.methods))
    pages.add_to(app, services)
    config = services.config
    trust.add_to(app, config, services.data)
    app.add_exception_handler(HTTPException, _no_route)
    hosts = config.rest.hosts
    host = hosts[0] if hosts else config.listen or config.listen_tls
    return Front(app, services.proxies, hosts, host, strict=not config.listen_tls or config.tls_source != "local")


def _route(services: Services, figures: Metrics, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        started = services.now()
        name = taken(request.headers.get("x-request-id", ""), f"{os.getpid():x}-{next(_numbers):x}")
        request_id.set(name)
        code, response = await _respond(services, endpoint, request)
        response.headers["x-request-id"] = name
        await pack(request, response)
        figures.count(endpoint.path, code, services.now() - started)
        if watched.users or log.isEnabledFor(logging.DEBUG):
            uid = request.scope.get(_CALLER, 0)
            logs.about(log, logging.DEBUG, uid, "event=request uid=%d path=%s code=%d", endpoint.path, code)
        return response

    return route


async def _respond(services: Services, endpoint: Endpoint, request: Request) -> tuple[int, Response]:
    """REST code and response of a request; whatever happens, there is one."""
    try:
        return DONE, _success(await _handle(services, endpoint, request))
    except CallError as error:
        if error.refusal is Refusal.SERVER_FAILED:
            log.error("event=request_failed path=%s why=%r", endpoint.path, error.message)
        own = endpoint.statuses or error.refusal in (Refusal.BODY_TOO_LARGE, Refusal.BODY_TOO_SLOW)
        response = _failure(error.code, error.message, HTTP_STATUS.get(error.code, 200) if own else 200)
        if not endpoint.streams and error.refusal in (Refusal.BODY_TOO_LARGE, Refusal.BODY_TOO_SLOW):
            response.headers["connection"] = (
                "close"  # the rest is not worth reading; of a file it is (REST_SPILT_BYTES)
            )
        if error.retry_s:
            response.headers["retry-after"] = str(math.ceil(error.retry_s))
        return error.code, response
    except ClientDisconnect:
        return 0, Response()
    except Exception:
        log.exception("event=request_failed path=%s", endpoint.path)
        failed = Refusal.SERVER_FAILED
        return failed.code, _failure(failed.code, failed.message, failed.code)


async def _checked(context: RequestContext, handling: Awaitable[object]) -> object:
    """What a handler answers, or refuses, once the token is known to be good. :raises CallError: of the token first"""
    try:
        answer = await handling
    except CallError as error:
        if isinstance(context.shards, FirstCall) and error.refusal is not Refusal.UNAVAILABLE:
            await context.shards.check()
        raise
    if isinstance(context.shards, FirstCall):
        await context.shards.check()
    return answer


async def _handle(services: Services, endpoint: Endpoint, request: Request) -> object:
    """The caller's token is checked before their body is read, unless only the body names the app. :raises CallError: refused"""
    context = _context(services, request, endpoint.url_token)
    _count(services.by_address, context.peer, services.now())
    named = context.app is not _NO_APP
    known = named and await _known(context, endpoint)
    body = b""
    if not endpoint.streams:
        most = limits.REST_BODY_BYTES if known else limits.REST_BODY_BYTES_NO_TOKEN
        body = await services.bodies.read(request, context.peer, most)
    try:
        if body:
            context.params = parse(request.scope["query_string"], body)
        if not named:
            context.app = _app(services, read(_Head, context.params).app_id, endpoint.app)
            await _known(context, endpoint)
        return await _checked(context, endpoint.answer(context))
    finally:
        services.bodies.release(context.peer, len(body))


async def _known(context: RequestContext, endpoint: Endpoint) -> bool:
    """Whether the caller has shown a good token, as far as that can be said here. :raises CallError: where one is needed"""
    if not endpoint.token:
        return has_token(context)
    await authenticate(context, admin=endpoint.admin)
    context.request.scope[_CALLER] = context.uid
    if not context.admin:
        _count(context.services.by_token, context.token, context.services.now())
    return True


def _count(requests: RateLimiter | None, key: str, now: float) -> None:
    """:raises CallError: 429, too many requests"""
    if requests is not None and not requests.take(key, now):
        wait_s = requests.wait_s(key, now)
        raise CallError(
            Refusal.TOO_MANY_REQUESTS, f"too many requests; try again in {wait_s:.1f} seconds", retry_s=wait_s
        )


def _context(services: Services, request: Request, url_token: bool) -> RequestContext:
    """The request as far as its head says."""
    headers = request.headers
    params = parse(request.scope["query_string"], b"")
    given = read(_Head, params)
    app_id = headers.get("app_id") or headers.get("app-id") or given.app_id
    return RequestContext(
        services=services,
        shards=services.shards,
        params=params,
        app=services.apps.get(app_id, _NO_APP),
        address=request.client.host if request.client else "",
        token=headers.get("access-token") or (given.access_token if url_token else ""),
        acting_for=headers.get("user_id") or headers.get("user-id", ""),
        acting_in=headers.get("group_id") or headers.get("group-id", ""),
        scheme=request.url.scheme,
        host=headers.get("host", ""),
        request=request,
        prefix=request.scope.get(PREFIX, ""),
    )


def _app(services: Services, app_id: str, needed: bool) -> App:
    """The app named in a body. :raises CallError: there is none, and one is needed"""
    app = services.apps.get(app_id, _NO_APP)
    if app is _NO_APP and needed:
        raise CallError(Refusal.UNKNOWN_APP, "" if app_id else NO_APP_ID)
    return app


def _success(result: object) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, Raw):
        return Response(result.body, media_type=result.media_type)
    if isinstance(result, PagedResult):
        return _envelope({"code": DONE, "data": result.data, "message": None, **result.extra}, 200)
    return _envelope({"code": DONE, "data": result, "message": None}, 200)


def _failure(code: int, message: str, status: int) -> Response:
    return _envelope({"code": code, "data": None, "message": message}, status)


def _envelope(content: dict[str, Any], status: int) -> Response:
    response = Response(msgspec.json.encode(content), status, media_type="application/json")
    response.headers["cache-control"] = "no-store"
    return response


async def _no_route(request: Request, error: Exception) -> Response:
    """A path or method that is none of ours."""
    assert isinstance(error, HTTPException)
    code = error.status_code
    response = _failure(code, Refusal.of_code(code).message if code in HTTP_STATUS else str(error.detail), code)
    response.headers.update(error.headers or {})
    return response
