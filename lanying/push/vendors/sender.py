"""The edge: performs the requests of vendors, keeps their connections and access tokens.

A notifier has one :class:`Line`: its vendor, one HTTP client, one access token. It lives until the notifier changes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from typing import Final

import httpx

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Notifier
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    Access,
    PushOutcome,
    PushState,
    PushTarget,
    Vendor,
    VendorAnswer,
    VendorRequest,
)
from lanying.push.vendors.registry import make

log = logging.getLogger(__name__)

HEADERS: Final = {"user-agent": "lanying", "accept-encoding": "identity"}
"""No compression: answers are small, and a small compressed one could be a large one."""


class Vendors:
    """Sends pushes. Safe to use from many tasks of one loop."""

    def __init__(self, clock: Callable[[], float] = time.time, timeout_s: float = limits.VENDOR_TIMEOUT_S) -> None:
        self._clock, self._timeout_s = clock, timeout_s
        self._lines: dict[tuple[str, str], Line] = {}

    async def send(self, target: PushTarget, push: Push, collapse_id: str) -> PushOutcome:
        """Hand a push to the vendor of a device. Never raises for errors of the network or the vendor.

        :param collapse_id: pushes with the same one replace each other on the device, so that a repetition is seen once
        """
        try:
            line = await self._line(target)
            if not line.vendor.token.fullmatch(target.token):
                return PushOutcome(PushState.GONE, f"this is no token of {line.vendor.name}")
            if 0 < push.show_end_time <= self._clock():
                return PushOutcome(PushState.REFUSED, "its show_end_time has passed")
            return await line.send(target.token, push, collapse_id)
        except ConfigError as error:
            return PushOutcome(PushState.REFUSED, str(error))
        except Exception as error:  # noqa: BLE001 - below are three protocol libraries: whatever one raises, the push is kept
            return broken(target.notifier, error)

    async def close(self) -> None:
        """Close all connections."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.close()

    async def _line(self, target: PushTarget) -> Line:
        key = (target.notifier.app, target.notifier.name)
        line = self._lines.get(key)
        if line is not None and line.notifier == target.notifier:
            return line
        vendor = make(target.notifier, target.secret)
        self._lines[key] = new = Line(target.notifier, vendor, self._clock, self._timeout_s)
        if line is not None:
            await line.close()
        return new


class Line:
    """The connections to a vendor for one notifier, and what it knows us by."""

    def __init__(self, notifier: Notifier, vendor: Vendor, clock: Callable[[], float], timeout_s: float) -> None:
        self.notifier, self.vendor = notifier, vendor
        self._clock, self._timeout_s = clock, timeout_s
        self._access: Access | None = None
        self._refused: tuple[float, PushOutcome] | None = None
        """Until when a login that was refused is not repeated, and what it said."""
        self._login = asyncio.Lock()
        self._gate = asyncio.Semaphore(limits.VENDOR_REQUESTS)
        self._busy, self._closed = 0, False
        self._trust = trust(vendor.certificate)
        self._client = self._connect()

    async def send(self, token: str, push: Push, collapse_id: str) -> PushOutcome:
        """:raises Exception: of the network; the access token is renewed once when the vendor does not take it"""
        self._busy += 1
        try:
            async with self._gate:
                return await self._send(token, push, collapse_id)
        finally:
            self._busy -= 1
            if self._closed and not self._busy:
                await self._client.aclose()

    async def close(self) -> None:
        """Close the connections, those in use when their requests are done."""
        self._closed = True
        if not self._busy:
            await self._client.aclose()

    async def _send(self, token: str, push: Push, collapse_id: str) -> PushOutcome:
        stale: Access | None = None
        while True:
            access = await self._log_in(stale)
            if isinstance(access, PushOutcome):
                return access
            request = self.vendor.request(token, push, collapse_id, access.token, self._clock())
            if isinstance(request, PushOutcome):
                return request
            answer = await self._perform(request)
            if stale is not None or not access.token or not self.vendor.stale(answer):
                return self.vendor.outcome(answer, self._clock())
            stale = access

    async def _log_in(self, stale: Access | None = None) -> Access | PushOutcome:
        """The access token, a new one when the known one has run out or is ``stale``."""
        async with self._login:
            now = self._clock()
            if self._access is not None and self._access is not stale and now < self._access.until:
                return self._access
            if self._refused is not None and now < self._refused[0]:
                return self._refused[1]
            self._access = None
            found = await self._ask_for_access(now)
            if isinstance(found, PushOutcome):
                self._refused = (now + (found.retry_after_s or limits.VENDOR_LOGIN_AGAIN_S), found)
            else:
                self._access, self._refused = found, None
            return found

    async def _ask_for_access(self, now: float) -> Access | PushOutcome:
        step = self.vendor.login(now)
        if isinstance(step, Access):
            return step
        try:
            return self.vendor.access(await self._perform(step), self._clock())
        except Exception as error:  # noqa: BLE001 - as in send; remembered, so that not every push waits for the time-out
            return broken(self.notifier, error)

    async def _perform(self, request: VendorRequest) -> VendorAnswer:
        """:raises OSError: no answer in time, or too much of it; :raises httpx.HTTPError: no connection"""
        try:
            return await self._once(request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.LocalProtocolError):
            # A kept connection the vendor has closed shows it only now. Once more, on another one.
            return await self._once(request)

    async def _once(self, request: VendorRequest) -> VendorAnswer:
        client = self._client
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream("POST", request.url, headers=request.headers, content=request.body) as answer,
            ):
                body = b""
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > limits.VENDOR_ANSWER_BYTES:
                        raise OSError(f"an answer of more than {limits.VENDOR_ANSWER_BYTES} bytes")
                return VendorAnswer(answer.status_code, answer.headers, body)
        except TimeoutError as error:
            if client is self._client:
                # The connection may be dead without knowing (a router that forgot it), and HTTP/2 would go on using it.
                self._client = self._connect()
                await client.aclose()
            raise TimeoutError(f"no answer within {self._timeout_s:g} s") from error

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            http2=self.vendor.http2,
            headers=HEADERS,
            timeout=None,
            verify=self._trust,
            limits=httpx.Limits(
                max_connections=limits.VENDOR_REQUESTS,
                max_keepalive_connections=limits.VENDOR_CONNECTIONS,
                keepalive_expiry=limits.VENDOR_IDLE_S,
            ),
        )


def broken(notifier: Notifier, error: Exception) -> PushOutcome:
    """What an error means: try again."""
    if not isinstance(error, httpx.HTTPError | OSError):
        log.error("a push to %s failed", notifier.name, exc_info=error)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PushOutcome(PushState.LATER, reason, limits.VENDOR_RETRY_S)


def trust(certificate: str) -> ssl.SSLContext:
    """The authorities we trust (``SSL_CERT_FILE`` names others), and who we are: a certificate with its key, in PEM."""
    context = httpx.create_ssl_context()
    if certificate:
        # ssl reads files only; mkstemp makes them for their owner alone.
        fd, path = tempfile.mkstemp(prefix="lanying-")
        try:
            with os.fdopen(fd, "w") as out:
                out.write(certificate)
            context.load_cert_chain(path)
        finally:
            os.unlink(path)
    return context
