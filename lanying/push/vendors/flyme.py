"""Meizu: Flyme push, ``POST /garcia/api/server/push/varnished/pushByPushId`` (``unvarnished`` for data alone).

https://github.com/MEIZUPUSH/PushAPI

``app_id`` and ``app_secret`` are those of the Flyme push console; the secret signs every request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import urlencode

from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    FORM,
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
from lanying.push.vendors.payload import block, fits, intent, json_text, keep_s, shorten

TITLE_CHARS, TEXT_CHARS = 32, 100
EXT_BYTES: Final = 2000
MOST_HOURS: Final = 72
BEIJING: Final = timezone(timedelta(hours=8))
CODES: Final[Mapping[int, PushState]] = {
    200: PushState.SENT,
    500: PushState.LATER,
    501: PushState.LATER,
    513: PushState.LATER,
    518: PushState.LATER,
    519: PushState.LATER,
    1001: PushState.LATER,
    1003: PushState.LATER,
    110002: PushState.GONE,
    110003: PushState.GONE,
    110010: PushState.LATER,
}


class Flyme(Vendor):
    """Flyme push."""

    name = "flyme"
    base = "https://server-api-push.meizu.com"
    token = re.compile(r"[A-Za-z0-9_-]{8,128}")
    """A comma would make it two."""

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        self._app_id, self._app_secret = notifier.app_id, secret.app_secret
        required(notifier, {"--app-id": self._app_id, "--secret-file (app secret)": self._app_secret})
        digits(notifier)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """A signed form."""
        kind = "unvarnished" if push.data_only else "varnished"
        content = json_text(data(push, now) if push.data_only else notice(push, now))
        if not fits(json_text(push.ext), EXT_BYTES):
            return TOO_LARGE
        form = {"appId": self._app_id, "pushIds": token, "messageJson": content}
        form["sign"] = sign(form, self._app_secret)
        url = f"{self.url}/garcia/api/server/push/{kind}/pushByPushId"
        return VendorRequest(url, FORM, urlencode(form).encode())

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """``code`` is about the request; ``value`` names the tokens that went wrong by their code."""
        found = answer.json()
        code, value, reason = found.get("code"), found.get("value"), str(found.get("message") or "")
        if str(code) == "200" and isinstance(value, dict) and value:
            code = next((code for code in value if str(code).isdecimal()), code)
        return by_code(CODES, code, reason, answer, now)


def sign(form: dict[str, str], secret: str) -> str:
    """MD5 over the sorted parameters and the secret."""
    text = "".join(f"{name}={form[name]}" for name in sorted(form)) + secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def notice(push: Push, now: float) -> dict[str, Any]:
    """What is shown."""
    opens = intent(block(push, "flyme"))
    click: dict[str, Any] = {"clickType": 1, "activity": opens} if opens else {"clickType": 0}
    if push.ext:
        click["parameters"] = push.ext
    body = shorten(push.body, TEXT_CHARS)
    advance: dict[str, Any] = {}
    if push.silent:
        advance["notificationType"] = {"vibrate": 0, "lights": 0, "sound": 0}
    if push.show_begin_time > now:
        advance |= {"isFixDisplay": 1, "fixStartDisplayTime": beijing(push.show_begin_time)}
        if push.show_end_time:
            advance["fixEndDisplayTime"] = beijing(push.show_end_time)
    found = {
        "noticeBarInfo": {"title": shorten(push.title, TITLE_CHARS), "content": body},
        "clickTypeInfo": click,
        "pushTimeInfo": {"offLine": 1, "validTime": hours(push, now)},
    }
    if body != push.body:
        found["noticeExpandInfo"] = {"noticeExpandType": 1, "noticeExpandContent": push.body}
    return found | ({"advanceInfo": advance} if advance else {})


def data(push: Push, now: float) -> dict[str, Any]:
    """What goes to the application alone."""
    return {"content": json_text(push.ext), "pushTimeInfo": {"offLine": 1, "validTime": hours(push, now)}}


def hours(push: Push, now: float) -> int:
    """How long Meizu keeps it."""
    return min(-(-keep_s(push, now) // 3600), MOST_HOURS)


def beijing(seconds: int) -> str:
    """Meizu's clock."""
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
