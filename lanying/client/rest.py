"""REST calls of a client: the standard library in a worker thread, because they are few."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.parse
from typing import Any, Final

import msgspec

from lanying.base import jsons
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.client.trust import explain, wants_tls

TIMEOUT_S: Final = 20.0
ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Largest answer read: 5,000 friends with long profiles are a few MB."""


class Rest:
    """The REST server at ``url`` for one app.

    :param tls: whom it trusts, for ``https``
    :ivar token: access token, sent when not empty
    """

    def __init__(self, url: str, app_id: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url.rstrip("/")
        self.app_id = app_id
        self.token = ""
        self._tls = tls

    async def call(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """``data`` of the answer; parameters go into the query of a GET and into the JSON body of a POST.

        :raises CallError: the envelope's code is not 200, or the server is not there (503)
        """
        return await asyncio.to_thread(self._call, method, path, params)

    async def message_server(self) -> urllib.parse.SplitResult:
        """Address of the message server, by discovery (xsync 1.3).

        :raises CallError: unknown app, or an answer without a message server
        """
        found = await self.call("GET", "/v2/app_dns", {"app_id": self.app_id, "source": "sdk"})
        try:
            group = next(group for group in found["dns_list"] if group["group_level"] == 0)
            cluster = group["clusters"][0]
            server = (cluster.get("webim") or cluster["ws"])[0]
            return urllib.parse.urlsplit(self.url if server.get("here") else f"{server['protocol']}://{server['host']}")
        except (KeyError, IndexError, TypeError, StopIteration) as error:
            raise CallError(Refusal.UNAVAILABLE, f"{self.url}: discovery names no message server") from error

    def _call(self, method: str, path: str, params: dict[str, Any]) -> Any:
        base = urllib.parse.urlsplit(self.url)
        connection = (
            http.client.HTTPSConnection(base.netloc, timeout=TIMEOUT_S, context=self._tls)
            if base.scheme == "https"
            else http.client.HTTPConnection(base.netloc, timeout=TIMEOUT_S)
        )
        headers = {"app_id": self.app_id, "app-id": self.app_id, "connection": "close"}
        headers["content-type"] = "application/json"
        if self.token:
            headers["access-token"] = self.token
        target, body = base.path + path, None
        if method == "GET":
            target += "?" + urllib.parse.urlencode(params)
        else:
            body = msgspec.json.encode(params)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse().read(ANSWER_BYTES)
            if wants_tls(answer):
                raise CallError(
                    Refusal.UNAVAILABLE, f"{self.url}: this port speaks TLS: write https:// in front of the address"
                )
            envelope = jsons.read(answer)
            code, message = int(envelope["code"]), str(envelope.get("message") or "")
        except (OSError, http.client.HTTPException) as error:
            raise CallError(
                Refusal.UNAVAILABLE, f"{self.url}{path}: {explain(error, base.hostname or base.netloc)}"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallError(Refusal.UNAVAILABLE, f"{self.url}{path}: not an answer of a lanying server") from error
        finally:
            connection.close()
        if code != 200:
            raise CallError(Refusal.of_code(code), message, code)
        return envelope.get("data")
