"""What a handler gets and gives, and the row a path has in its area's table."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request

from lanying.base import limits
from lanying.base.clock import monotonic, wall_ms
from lanying.base.errors import CallError
from lanying.base.passwords import Passwords
from lanying.base.peers import Proxies, peer_key
from lanying.base.rate import Rate, RateLimiter
from lanying.base.refusals import Refusal
from lanying.bus.messages import AdminRequest
from lanying.bus.messages.base import R
from lanying.bus.shards import Shards
from lanying.config.apps import App
from lanying.config.notifiers import Notifiers
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.gateway.accounts.guesses import Guesses
from lanying.gateway.accounts.sms import provider
from lanying.gateway.accounts.user_cap import UserCap
from lanying.gateway.files.file_store import FileStore
from lanying.gateway.http.bodies import Bodies
from lanying.gateway.http.params import Params

GET: Final = ("GET",)
POST: Final = ("POST",)
UPDATE: Final = ("POST", "PUT")
"""A change: PUT is its exact twin."""
REMOVE: Final = ("POST", "DELETE")
"""A removal: DELETE is its exact twin."""

HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
"""A Host header that may be repeated to clients."""
SMS_PER_MINUTE: Final = 1
"""To one number: each may cost money, and somebody's patience."""
CODES_PER_MINUTE: Final = 60
"""SMS, captchas, QR codes for one address."""


def per_second(most: int) -> RateLimiter | None:
    """Limits requests, None: any number is fine. A client that has been away may ask for :data:`limits.REQUEST_BURST_S` at once."""
    burst_s = limits.REQUEST_BURST_S
    return RateLimiter(Rate(most * burst_s, burst_s), limits.GUESS_KEYS) if most else None


def per_minute(most: int) -> RateLimiter:
    """Limits what is tried, guessed or paid for."""
    return RateLimiter(Rate(most, 60.0), limits.GUESS_KEYS)


class AskAdmin(Protocol):
    """Asks the admin process."""

    async def __call__(self, request: AdminRequest[R], /) -> R:
        """:raises CallError: refused or 503"""
        ...


async def nobody(request: AdminRequest[R]) -> R:
    """Where there is no admin process."""
    raise CallError(Refusal.UNAVAILABLE, "there is no admin process here")


class Services:
    """What all handlers share.

    :param data: the data directory, for files and the supervisor's control socket
    :param ask_admin: asks the admin process
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        apps: Mapping[str, App],
        shards: Shards,
        now: Callable[[], float] = monotonic,
        now_ms: Callable[[], int] = wall_ms,
        data: Path = Path("data"),
        ask_admin: AskAdmin = nobody,
    ) -> None:
        config = settings.config
        self.settings = settings
        self.apps = apps
        self.shards = shards
        self.passwords = Passwords(config.accounts)
        self.user_cap = UserCap(settings, now)
        self.sms = provider(config.sms)
        self.sms_requests = per_minute(SMS_PER_MINUTE)
        self.code_requests = per_minute(CODES_PER_MINUTE)
        self.by_token = per_second(config.rest.requests_per_second_per_token)
        self.by_address = per_second(config.rest.requests_per_second_per_address)
        self.guesses = Guesses(config.accounts.password_guesses_per_minute)
        self.bodies = Bodies()
        self.proxies = Proxies(config.listen_proxies)
        self.now = now
        self.now_ms = now_ms
        self.notifiers = Notifiers(data)
        self.data = data
        self.ask_admin = ask_admin
        self.files = FileStore(settings, shards, data, now_ms)

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config


@dataclass(slots=True)
class RequestContext:
    """One request.

    :ivar uid: the user who calls or whom an admin acts for, 0 where no token is asked and for an admin who acts for nobody
    :ivar token: value of the header ``access-token``, empty for none
    :ivar acting_for: value of the header ``user_id``, ``acting_in`` of ``group_id``: an admin acts as that user, as admin of that group
    :ivar shards: the shards, where a call may still have to check the token
    :ivar request: the request itself, for handlers that read its body or its headers
    :ivar admin_of: the group an admin acts in, 0 for none
    :ivar scheme: http or https, ``host`` the header of that name
    """

    services: Services
    shards: Shards
    params: Params
    app: App
    address: str
    token: str
    acting_for: str
    scheme: str
    host: str
    request: Request
    uid: int = 0
    admin: bool = False
    acting_in: str = ""
    admin_of: int = 0

    @property
    def peer(self) -> str:
        """What counts as the caller's address in every limit."""
        return peer_key(self.address)

    @property
    def base_url(self) -> str:
        """Where this server is, for addresses given to clients: as configured, else as in this request."""
        config = self.services.config
        host = self.host if HOST.fullmatch(self.host) else config.listen
        return config.discovery_of(self.app.app_id).rest_url.rstrip("/") or f"{self.scheme}://{host}"


@dataclass(slots=True)
class Page:
    """A result with members beside ``data``."""

    data: object
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Raw:
    """A result that is not an envelope."""

    body: bytes
    media_type: str


Handler = Callable[[RequestContext], Awaitable[object]]


class Endpoint(msgspec.Struct, frozen=True):
    """A path. ``token``: who may call has to show one, of an admin with ``admin``; ``app``: which app is meant has to be known.

    ``url_token``: the token may be in the query, for addresses that pages load; ``streams``: the handler reads the body;
    ``statuses``: codes its handler refuses with may be HTTP statuses too.
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
