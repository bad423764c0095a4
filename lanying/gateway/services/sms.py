"""How a code reaches a phone: the interface, the provider for development, and a hook that any gateway for SMS can be put behind.

The hook is a POST of ``{"app", "mobile", "code", "text"}`` (JSON) to the configured address. The header ``x-lanying-signature`` is the
HMAC-SHA-256 of ``<x-lanying-timestamp>.<body>`` with the shared secret, hexadecimal; the time stamp is in seconds since 1970, so that
what somebody has overheard cannot be played again later. A status 2xx means that the message is on its way. Nothing else is asked:
no redirect is followed and no proxy of the environment used, so codes go to the host that the administrator wrote and to no other.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn, Protocol
from urllib.parse import urlsplit

import msgspec

from lanying.base import limits, texts
from lanying.base.clock import wall_ms
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.config.schema import Sms

log = logging.getLogger(__name__)

SIGNATURE: Final = "x-lanying-signature"
TIMESTAMP: Final = "x-lanying-timestamp"


class SmsProvider(Protocol):
    """Somebody who delivers text messages."""

    async def send(self, app: str, mobile: str, code: str) -> None:
        """Deliver a code to a phone of a user of an app. :raises CallError: 503, it cannot be delivered now"""


class LogSms:
    """Writes codes to the log instead."""

    async def send(self, app: str, mobile: str, code: str) -> None:
        log.warning("event=sms_code mobile=%s code=%s", mobile, code)


class HttpSms:
    """Posts codes to an address of the administrator's.

    :param now_ms: milliseconds since 1970
    :raises ConfigError: the file of the secret cannot be read
    """

    def __init__(self, config: Sms, now_ms: Callable[[], int] = wall_ms) -> None:
        import httpx  # takes memory, and most servers send no SMS

        self._config = config
        self._secret = (
            texts.read(Path(config.secret_file), "set sms.secret_file to a file of this user").strip().encode()
        )
        self._now_ms = now_ms
        self._failures = (httpx.HTTPError, OSError, TimeoutError)
        self._client: Final = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=None)

    async def send(self, app: str, mobile: str, code: str) -> None:
        text = self._config.template.replace("{code}", code)
        body = msgspec.json.encode({"app": app, "mobile": mobile, "code": code, "text": text})
        try:
            async with (
                asyncio.timeout(limits.SMS_TIMEOUT_S),
                self._client.stream("POST", self._config.url, headers=self._headers(body), content=body) as answer,
            ):
                status = answer.status_code
        except self._failures as error:
            self._fail(type(error).__name__)
        if not 200 <= status < 300:
            self._fail(f"status {status}")

    def _headers(self, body: bytes) -> dict[str, str]:
        stamp = str(self._now_ms() // 1000)
        sign = hmac.digest(self._secret, stamp.encode() + b"." + body, "sha256").hex()
        return {"content-type": "application/json", TIMESTAMP: stamp, SIGNATURE: sign}

    def _fail(self, why: str) -> NoReturn:
        """The caller gets a refusal, for no code comes; the administrator reads why in the log."""
        log.error("event=sms_not_sent host=%s why=%s", urlsplit(self._config.url).hostname, why)
        raise CallError(Refusal.UNAVAILABLE, "the code could not be sent; try again, or ask the administrator")


def provider(config: Sms, now_ms: Callable[[], int] = wall_ms) -> SmsProvider | None:
    """The configured provider, None for none. :raises ConfigError: it cannot be used"""
    if config.provider == "http":
        return HttpSms(config, now_ms)
    return LogSms() if config.provider == "log" else None
