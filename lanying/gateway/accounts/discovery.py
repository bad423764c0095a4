"""Where clients find everything, and what they may ask before they log in (xsync section 1)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.http.endpoint import GET, Endpoint, RequestContext

APP_CONFIG: Final = {
    "hide_member_info": False,
    "message_forward_max_user_num": 20,
    "message_forward_max_message_num": 100,
}


class Which(msgspec.Struct):
    """An app."""

    app_id: str = ""


async def app_dns(context: RequestContext, given: Which) -> object:
    """REST, message and call servers of an app; this server is all of them unless the configuration says otherwise.

    ``here``, an addition of ours: it is the server that was asked, so a client that reached it may go on as it did.
    """
    app = context.services.apps.get(given.app_id or context.app.app_id)
    if app is None:
        raise CallError(Refusal.APP_NOT_SERVED)
    config = context.services.config
    told = config.discovery_of(app.app_id)
    rest, messages, calls = (
        _server(url) if url else {**_server(context.here), "here": True}
        for url in (told.rest_url, told.message_url, told.rtc_url)
    )
    cluster = {
        "ratel": [{**rest, "ip_list": [urlsplit(f"//{rest['host']}").hostname or rest["host"]]}],
        "webim": [messages],
        "rtc": [calls],
    }
    return {
        "version": "2",
        "app_status": "normal",
        "account_verification": _verification(told.verified_name, app.name),
        "dns_list": [{"group_level": 0, "clusters": [cluster]}],
        "dns_server_list": [],
        "link_server_list": [],
    }


async def health(context: RequestContext) -> object:
    """Alive."""
    return True


async def app_config(context: RequestContext) -> object:
    """Limits and switches of an app."""
    return APP_CONFIG


async def support_staff(context: RequestContext) -> object:
    """Support contacts: none."""
    return []


def _verification(verified: str, name: str) -> dict[str, str]:
    """What clients show of the company behind the app: a mark of trust only where the administrator has written one."""
    if verified:
        return {"type": "enterprise", "status": "verified", "name": verified}
    return {"type": "enterprise", "status": "unverified", "name": name}


def _server(url: str) -> dict[str, str | bool]:
    """``protocol`` and ``host`` (with port and path) of a URL; web sockets count as their HTTP twins."""
    protocol, _, host = url.rpartition("://")
    return {"protocol": {"ws": "http", "wss": "https"}.get(protocol, protocol) or "http", "host": host.rstrip("/")}


ENDPOINTS: Final = (
    Endpoint(GET, "/api/health", health, token=False, app=False),
    Endpoint(GET, "/v2/app_dns", app_dns, token=False, app=False),
    Endpoint(GET, "/app/config", app_config, token=False),
    Endpoint(GET, "/app/support_staff", support_staff),
)
