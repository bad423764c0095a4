"""Calls that need somebody else's service, which this server is not connected to: WeChat, share links, a chatbot.

They check the token and answer code 404, which clients read as "feature absent" (xsync 2.2).
"""

from __future__ import annotations

from typing import Final

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.http.endpoint import GET, POST, UPDATE, Endpoint, Handler, RequestContext


def without(what: str) -> Handler:
    """A handler that says what is missing."""

    async def handler(context: RequestContext) -> object:
        raise CallError(Refusal.NOT_OFFERED, f"this server is not connected to {what}: feature not supported")

    return handler


_WECHAT: Final = without("WeChat")

ENDPOINTS: Final = (
    Endpoint(GET, "/app/wechat_login", _WECHAT, token=False),
    Endpoint(GET, "/app/wechat_login_android", _WECHAT, token=False),
    Endpoint(POST, "/app/wechat/bind", _WECHAT),
    Endpoint(POST, "/app/wechat/unbind", _WECHAT),
    Endpoint(GET, "/app/wechat/is_bind", _WECHAT),
    Endpoint(GET, "/user/bind_openid", _WECHAT),
    Endpoint(POST, "/app/generate_url_link", _WECHAT),
    Endpoint(GET, "/app/official_account/access_token", _WECHAT, admin=True),
    Endpoint(GET, "/app/official_account/is_bind", _WECHAT),
    Endpoint(GET, "/app/official_account/login", _WECHAT),
    Endpoint(GET, "/app/official_account/login_with_open_id", _WECHAT, admin=True),
    Endpoint(GET, "/app/official_account/qrcode", _WECHAT),
    Endpoint(GET, "/app/official_account/qrcode_status", _WECHAT),
    Endpoint(GET, "/info", without("a link server"), token=False, app=False),
    Endpoint(UPDATE, "/ai/message/send", without("a chatbot")),
)
