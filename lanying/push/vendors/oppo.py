"""OPPO (also realme and OnePlus): OPUSH, ``POST /server/v1/message/notification/unicast``.

https://open.oppomobile.com/new/developmentDoc/info?id=11238 (return codes: id=11235)

``app_key`` and ``app_secret`` (the master secret) buy a token that is good for a day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    FORM,
    NO_DATA,
    TOO_LARGE,
    Access,
    PushOutcome,
    PushState,
    Vendor,
    VendorAnswer,
    VendorRequest,
    by_code,
    required,
    token_of,
)
from lanying.push.vendors.payload import block, fits, intent, json_text, keep_s, once, shorten, text

TITLE_CHARS, TEXT_CHARS, LONG_TEXT_CHARS = 50, 50, 128
STANDARD, LONG = 1, 2
"""``style`` by the length of the text."""
REGISTRATION_ID: Final = 2
TOKEN_LIFE_S: Final = 20 * 3600
"""Good for a day."""
OPEN_APP, OPEN_ACTION, OPEN_SCHEME = 0, 1, 5
STALE: Final = (11, 29)
"""The access token is invalid, or missing."""
CODES: Final[Mapping[int, PushState]] = {
    0: PushState.SENT,
    -1: PushState.LATER,
    -2: PushState.LATER,
    13: PushState.LATER,
    55: PushState.LATER,
    10000: PushState.GONE,
}
"""33, the day's quota, is a refusal: tomorrow nobody wants the push any more."""


class Oppo(Vendor):
    """OPUSH."""

    name = "oppo"
    base = "https://api.push.oppomobile.com"
    token = re.compile(r"[A-Za-z0-9_-]{8,128}")

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        self._secret = secret
        required(notifier, {"--app-key": secret.app_key, "--secret-file (master secret)": secret.app_secret})

    def login(self, now: float) -> VendorRequest:
        """Signed with a digest; ``timestamp`` in milliseconds has to be right within ten minutes."""
        key, at = self._secret.app_key, str(int(now * 1000))
        signed = hashlib.sha256(f"{key}{at}{self._secret.app_secret}".encode()).hexdigest()
        form = {"app_key": key, "timestamp": at, "sign": signed}
        return VendorRequest(f"{self.url}/server/v1/auth", FORM, urlencode(form).encode())

    def access(self, answer: VendorAnswer, now: float) -> Access | PushOutcome:
        """``data.auth_token``."""
        found = answer.json()
        return token_of(answer, found.get("data"), "auth_token", said(found), now + TOKEN_LIFE_S, now)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """Texts have limits of their own; OPPO recognises a repetition by ``app_message_id``."""
        if push.data_only:
            return NO_DATA
        ext = json_text(push.ext) if push.ext else ""
        if not fits(ext):
            return TOO_LARGE
        message = {
            "target_type": REGISTRATION_ID,
            "target_value": token,
            "notification": notification(push, ext, once(collapse_id, token), now),
        }
        form = {"auth_token": access, "message": json_text(message)}
        return VendorRequest(f"{self.url}/server/v1/message/notification/unicast", FORM, urlencode(form).encode())

    def stale(self, answer: VendorAnswer) -> bool:
        """A code says so."""
        return answer.status == 401 or answer.json().get("code") in STALE

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """``code`` is a number."""
        found = answer.json()
        return by_code(CODES, found.get("code"), said(found), answer, now)


def notification(push: Push, ext: str, message_id: str, now: float) -> dict[str, Any]:
    """What is shown; OPPO has no sound of a single push, its channel has."""
    ours = block(push, "oppo")
    opens = intent(ours)
    found: dict[str, Any] = {
        "app_message_id": message_id,
        "style": LONG if len(push.body) > TEXT_CHARS else STANDARD,
        "title": shorten(push.title, TITLE_CHARS),
        "content": shorten(push.body, LONG_TEXT_CHARS),
        "click_action_type": OPEN_APP,
        "off_line": True,
        "off_line_ttl": keep_s(push, now, least=3600),
        "channel_id": text(ours, "channel_id"),
        "category": text(ours, "category", 32),
        "action_parameters": ext,
    }
    if "://" in opens or opens.startswith("intent:"):
        found |= {"click_action_type": OPEN_SCHEME, "click_action_url": opens}
    elif opens:
        found |= {"click_action_type": OPEN_ACTION, "click_action_activity": opens}
    if push.show_begin_time > now and push.show_end_time > push.show_begin_time:
        found |= {
            "show_time_type": 1,
            "show_start_time": push.show_begin_time * 1000,
            "show_end_time": push.show_end_time * 1000,
        }
    return {name: value for name, value in found.items() if value != ""}


def said(found: dict[str, Any]) -> str:
    """OPPO's words."""
    return str(found.get("message") or "")
