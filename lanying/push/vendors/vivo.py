"""vivo: vpush, ``POST /message/send``.

https://dev.vivo.com.cn/documentCenter/doc/362

``app_id``, ``app_key`` and ``app_secret`` are those of the vivo console; their digest buys a token that is good for a day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    JSON,
    NO_DATA,
    TOO_LARGE,
    Access,
    PushOutcome,
    PushState,
    Vendor,
    VendorAnswer,
    VendorRequest,
    by_code,
    digits,
    required,
    token_of,
)
from lanying.push.vendors.payload import (
    block,
    choice,
    fits,
    intent,
    json_bytes,
    json_text,
    keep_s,
    once,
    shorten_wide,
    text,
)

TITLE_COLUMNS, TEXT_COLUMNS = 40, 100
"""A Chinese character counts twice."""
TOKEN_LIFE_S: Final = 2 * 3600
"""Good for a day; vivo asks for a new one every hour or two."""
NO_SOUND, SOUND_AND_VIBRATION = 1, 4
OPEN_APP, OPEN_PAGE = 1, 4
OFFICIAL, TEST = 0, 1
"""``pushMode``: test pushes go to the devices named in vivo's console only."""
MARKETING, SYSTEM = 0, 1
"""``classification``: chat messages are system messages of category IM."""
CODES: Final[Mapping[int, PushState]] = {
    0: PushState.SENT,
    10072: PushState.LATER,
    10093: PushState.LATER,
    10302: PushState.GONE,
}
"""10070 and 10073, the day's quota, are refusals: tomorrow nobody wants the push any more."""


class Vivo(Vendor):
    """vpush."""

    name = "vivo"
    base = "https://api-push.vivo.com.cn"
    token = re.compile(r"[A-Za-z0-9_-]{8,128}")

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        self._app_id, self._secret, self._test = notifier.app_id, secret, not notifier.environment
        fields = {
            "--app-id": self._app_id,
            "--app-key": secret.app_key,
            "--secret-file (app secret)": secret.app_secret,
        }
        required(notifier, fields)
        digits(notifier)

    def login(self, now: float) -> VendorRequest:
        """Signed with a digest; ``timestamp`` in milliseconds has to be right within ten minutes."""
        key, at = self._secret.app_key, int(now * 1000)
        signed = f"{self._app_id}{key}{at}{self._secret.app_secret}".encode()
        body = {
            "appId": int(self._app_id),
            "appKey": key,
            "timestamp": at,
            "sign": hashlib.md5(signed, usedforsecurity=False).hexdigest(),
        }
        return VendorRequest(f"{self.url}/message/auth", JSON, json_bytes(body))

    def access(self, answer: VendorAnswer, now: float) -> Access | PushOutcome:
        """``authToken``."""
        found = answer.json()
        return token_of(answer, found, "authToken", said(found), now + TOKEN_LIFE_S, now)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """Texts have limits of their own; vivo recognises a repetition by ``requestId``."""
        if push.data_only:
            return NO_DATA
        ext = json_text(push.ext) if push.ext else ""
        if not fits(ext):
            return TOO_LARGE
        ours = block(push, "vivo")
        opens, mode, classification = (
            intent(ours),
            choice(ours, "push_mode", (0, 1)),
            choice(ours, "classification", (0, 1)),
        )
        body: dict[str, Any] = {
            "appId": int(self._app_id),
            "regId": token,
            "notifyType": NO_SOUND if push.silent else SOUND_AND_VIBRATION,
            "title": shorten_wide(push.title, TITLE_COLUMNS),
            "content": shorten_wide(push.body, TEXT_COLUMNS),
            "timeToLive": keep_s(push, now),
            "skipType": OPEN_PAGE if opens else OPEN_APP,
            "requestId": once(collapse_id, token),
            "pushMode": mode if mode is not None else (TEST if self._test else OFFICIAL),
            "classification": SYSTEM if classification is None else classification,
        }
        if category := text(ours, "category", 32) or ("IM" if body["classification"] == SYSTEM else ""):
            body["category"] = category
        if opens:
            body["skipContent"] = opens
        if ext:
            body["clientCustomMap"] = {"ext": ext}
        return VendorRequest(f"{self.url}/message/send", JSON | {"authToken": access}, json_bytes(body))

    def stale(self, answer: VendorAnswer) -> bool:
        """10000: authentication failed."""
        return answer.status == 401 or answer.json().get("result") == 10000

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """A device that has uninstalled the application or turned pushes off comes back as ``invalidUser``."""
        found = answer.json()
        if found.get("result") == 0 and (invalid := found.get("invalidUser") or found.get("invalidUsers")):
            return PushOutcome(PushState.GONE, f"invalidUser {json_text(invalid)}"[:200])
        return by_code(CODES, found.get("result"), said(found), answer, now)


def said(found: dict[str, Any]) -> str:
    """vivo's words."""
    return str(found.get("desc") or "")
