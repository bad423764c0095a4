"""What a handler gets and gives, and the row a path has in its area's table."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, get_type_hints

import msgspec
from starlette.requests import Request

from lanying.base.peers import peer_key
from lanying.bus.shards import Shards
from lanying.config.apps import App
from lanying.gateway.http.params import S, Values, fields, read
from lanying.gateway.services.services import Services

GET: Final = ("GET",)
POST: Final = ("POST",)
UPDATE: Final = ("POST", "PUT")
"""A change: PUT is its exact twin."""
REMOVE: Final = ("POST", "DELETE")
"""A removal: DELETE is its exact twin."""


@dataclass(slots=True)
class RequestContext:
    """One request.

    :ivar uid: the user who calls or whom an admin acts for, 0 where no token is asked and for an admin who acts for nobody
    :ivar token: value of the header ``access-token``, empty for none
    :ivar acting_for: value of the header ``user_id``, ``acting_in`` of ``group_id``: an admin acts as that user, as admin of that group
    :ivar params: its parameters as they came
    :ivar shards: the shards, where a call may still have to check the token
    :ivar request: the request itself, for handlers that read its body or its headers
    :ivar admin_of: the group an admin acts in, 0 for none
    :ivar scheme: http or https, ``host`` the header of that name as :class:`~lanying.gateway.http.front.Front` lets it through,
        ``prefix`` the path below which a proxy has this server
    """

    services: Services
    shards: Shards
    params: Values
    app: App
    address: str
    token: str
    acting_for: str
    scheme: str
    host: str
    request: Request
    prefix: str = ""
    uid: int = 0
    admin: bool = False
    acting_in: str = ""
    admin_of: int = 0

    @property
    def peer(self) -> str:
        """What counts as the caller's address in every limit."""
        return peer_key(self.address)

    @property
    def prober(self) -> tuple[str, int] | str:
        """Whose budget it is to look for others: nobody's for an admin."""
        return "" if self.admin else (self.app.app_id, self.uid)

    def read(self, kind: type[S]) -> S:
        """The parameters as this struct; an admin's header ``group_id`` stands in for the parameter.

        :raises CallError: 10002; 10004 or 10010, nobody but an admin may be called that, or write it where others read it
        """
        given = read(kind, self.params, {"group_id": self.admin_of} if self.admin_of else {})
        if not self.admin:
            for it in fields(kind):
                if it.shown and (text := getattr(given, it.attribute)):
                    self.services.wording.check(it.name, text, name=it.shown.name)
        return given

    @property
    def base_url(self) -> str:
        """Where this server is, for addresses given to clients: as configured, else as in this request."""
        return self.services.config.discovery_of(self.app.app_id).rest_url.rstrip("/") or self.here

    @property
    def here(self) -> str:
        """Where this request found this server."""
        return f"{self.scheme}://{self.host}{self.prefix}"


@dataclass(slots=True)
class PagedResult:
    """A result with members beside ``data``."""

    data: object
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Raw:
    """A result that is not an envelope."""

    body: bytes
    media_type: str


Handler = Callable[..., Awaitable[object]]
"""Takes the :class:`RequestContext`, and the parameters in a struct as a second argument if it has any."""


@cache
def given_to(handler: Handler) -> type[msgspec.Struct] | None:
    """The struct a handler takes as its second argument; None: it takes none."""
    names = list(inspect.signature(handler).parameters)
    found = get_type_hints(handler)[names[1]] if len(names) > 1 else None
    assert found is None or issubclass(found, msgspec.Struct)
    return found


class Endpoint(msgspec.Struct, frozen=True):
    """A path. ``token``: who may call has to show one, of an admin with ``admin``; ``app``: which app is meant has to be known.

    ``url_token``: the token may be in the query, for addresses of files that pages load; ``streams``: the handler reads the body;
    ``statuses``: codes its handler refuses with may be HTTP statuses too;
    ``takes``: its parameters where the handler's annotation does not say them: it serves several paths, or it reads them
    itself, once it knows who calls.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    token: bool = True
    app: bool = True
    admin: bool = False
    url_token: bool = False
    streams: bool = False
    statuses: bool = False
    takes: type[msgspec.Struct] | None = None

    @property
    def parameters(self) -> type[msgspec.Struct] | None:
        """The struct of its parameters; None: it has none."""
        return self.takes or given_to(self.handler)

    async def answer(self, context: RequestContext) -> object:
        """What the handler answers. :raises CallError: it refuses, or 10002 a parameter is not what it has to be"""
        if given_to(self.handler) is None:
            return await self.handler(context)
        assert self.parameters is not None
        return await self.handler(context, context.read(self.parameters))
