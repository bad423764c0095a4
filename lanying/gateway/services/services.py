"""What all handlers share: the shards, limits, files, keys, and how the admin process is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from lanying.base import limits
from lanying.base.clock import monotonic, wall_ms
from lanying.base.errors import CallError
from lanying.base.passwords import Passwords
from lanying.base.peers import Proxies
from lanying.base.rate import Rate, RateLimiter
from lanying.base.refusals import Refusal
from lanying.bus.messages import AdminRequest
from lanying.bus.messages.base import R
from lanying.bus.shards import Shards
from lanying.config.allotment import Allotment
from lanying.config.apps import App
from lanying.config.notifiers import Notifiers
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config
from lanying.gateway.services.bodies import Bodies
from lanying.gateway.services.conversions import Conversions
from lanying.gateway.services.file_store import FileStore
from lanying.gateway.services.guesses import Guesses
from lanying.gateway.services.probes import Probes
from lanying.gateway.services.registrations import Registrations
from lanying.gateway.services.sms import provider
from lanying.gateway.services.uploads import Uploads
from lanying.gateway.services.user_cap import UserCap
from lanying.gateway.services.wording import Wording

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
    :param allotted: what may be taken of this machine
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
        allotted: Allotment = Allotment(),  # noqa: B008 - a value
    ) -> None:
        config = settings.config
        self.settings = settings
        self.apps = apps
        self.shards = shards
        self.passwords = Passwords(config.accounts, allotted.password_threads)
        self.user_cap = UserCap(settings, now)
        self.sms = provider(config.sms, now_ms)
        self.sms_requests = per_minute(SMS_PER_MINUTE)
        self.code_requests = per_minute(CODES_PER_MINUTE)
        self.by_token = per_second(config.rest.requests_per_second_per_token)
        self.by_address = per_second(config.rest.requests_per_second_per_address)
        self.guesses = Guesses(config.accounts.password_guesses_per_minute)
        self.registrations = Registrations(config.accounts.registrations_per_minute)
        self.probes = Probes(now)
        self.wording = Wording(config)
        self.bodies = Bodies(allotted.rest_bodies_bytes, allotted.rest_bodies_bytes_per_peer)
        self.proxies = Proxies(config.listen_proxies)
        self.now = now
        self.now_ms = now_ms
        self.notifiers = Notifiers(data)
        self.data = data
        self.ask_admin = ask_admin
        uploads = Uploads(now, allotted.uploads, allotted.uploads_per_peer)
        self.files = FileStore(settings, shards, data, now_ms, uploads)
        self.conversions = Conversions(now, allotted.picture_megapixels * 1_000_000)

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return self.settings.config
