"""Huawei: Push Kit, REST v1, ``POST /v1/{app id}/messages:send``.

https://developer.huawei.com/consumer/en/doc/HMSCore-References/https-send-api-0000001050986197

``app_id`` and ``app_secret`` are those of AppGallery Connect; they buy an access token (OAuth 2 client credentials) from another host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    FORM,
    JSON,
    TOO_LARGE,
    PushOutcome,
    PushState,
    Vendor,
    VendorAnswer,
    VendorRequest,
    by_code,
    digits,
    required,
)
from lanying.push.vendors.payload import block, fit, intent, json_bytes, json_text, keep_s, text

LOGIN_BASE: Final = "https://oauth-login.cloud.huawei.com"
PARTLY: Final = 80100000
"""Some tokens were good, some were not; there was one only."""
STALE: Final = ("80200001", "80200003", "80200005")
"""Authentication failed, access token expired."""
CODES: Final[Mapping[int, PushState]] = {
    80000000: PushState.SENT,
    PARTLY: PushState.GONE,
    80300007: PushState.GONE,
    80600003: PushState.LATER,
    81000001: PushState.LATER,
}


class Huawei(Vendor):
    """Huawei Push Kit."""

    name = "huawei"
    base = "https://push-api.cloud.huawei.com"
    token = re.compile(r"[A-Za-z0-9_:.~+/=-]{16,1024}")

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        self._app_id, self._app_secret = notifier.app_id, secret.app_secret
        required(notifier, {"--app-id": self._app_id, "--secret-file (app secret)": self._app_secret})
        digits(notifier)
        self._login_url = f"{notifier.login_endpoint.rstrip('/') or LOGIN_BASE}/oauth2/v3/token"

    def login(self, now: float) -> VendorRequest:
        """Client credentials."""
        form = {"grant_type": "client_credentials", "client_id": self._app_id, "client_secret": self._app_secret}
        return VendorRequest(self._login_url, FORM, urlencode(form).encode())

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """The token does not count for the size."""
        shown = fit(lambda body: message(push, body, collapse_id, now), push.body)
        if shown is None:
            return TOO_LARGE
        body = json_bytes(
            {"validate_only": False, "message": message(push, shown, collapse_id, now) | {"token": [token]}}
        )
        headers = JSON | {"authorization": f"Bearer {access}"}
        return VendorRequest(f"{self.url}/v1/{self._app_id}/messages:send", headers, body)

    def stale(self, answer: VendorAnswer) -> bool:
        """HTTP 401, or a code that says so."""
        return answer.status == 401 or answer.json().get("code") in STALE

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """``code`` is a text."""
        found = answer.json()
        return by_code(CODES, found.get("code"), str(found.get("msg", "")), answer, now)


def message(push: Push, body: str, collapse_id: str, now: float) -> dict[str, Any]:
    """A ``Message`` without its token."""
    ours = block(push, "huawei")
    android: dict[str, Any] = {"ttl": f"{keep_s(push, now)}s"}
    if category := text(ours, "category", 32):
        android["category"] = category
    found: dict[str, Any] = {"android": android}
    if push.ext or push.data_only:
        found["data"] = json_text(push.ext)
    if push.data_only:
        return found
    opens = intent(ours)
    shown: dict[str, Any] = {
        "title": push.title,
        "body": body,
        "click_action": {"type": 1, "intent": opens} if opens else {"type": 3},
        "image": push.image if push.image.startswith("https://") else "",
        "tag": collapse_id,
        "channel_id": text(ours, "channel_id"),
        "importance": "LOW" if push.silent else "",
        "body_loc_key": push.loc_key,
        "body_loc_args": push.loc_args if push.loc_key else [],
    }
    if (sound := text(ours, "sound")) and not push.silent:
        shown |= {"sound": sound, "default_sound": False}
    if badge_class := text(ours, "badge_class"):
        shown["badge"] = {"class": badge_class, "set_num": min(push.badge, 99)}
    android["notification"] = {name: value for name, value in shown.items() if value not in ("", [])}
    return found
