"""Xiaomi: Mi Push, ``POST /v3/message/regid``.

https://dev.mi.com/xiaomihyperos/documentation/detail?pId=1559 (international hosts: pId=1696)

``app_secret`` is the app secret, ``package`` the Android package name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
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
    required,
)
from lanying.push.vendors.payload import block, fits, intent, json_text, keep_s, number_of, shorten, text

TITLE_CHARS, TEXT_CHARS = 49, 127
"""Less than 50 and 128, says Xiaomi."""
SOUND_VIBRATION_LIGHT: Final = "-1"
NO_SOUND: Final = "0"
NO_TARGET: Final = 20301
"""Sending failed; with "No valid targets!" it is the token's fault."""
CODES: Final[Mapping[int, PushState]] = {
    0: PushState.SENT,
    -1: PushState.LATER,
    1: PushState.LATER,
    10001: PushState.LATER,
    10002: PushState.LATER,
    10003: PushState.LATER,
    10027: PushState.LATER,
    10029: PushState.GONE,
    20607: PushState.LATER,
    26003: PushState.LATER,
    66007: PushState.GONE,
    200002: PushState.LATER,
}
"""200001 and 10034, the day's quota, are refusals: tomorrow nobody wants the push any more."""


class Xiaomi(Vendor):
    """Mi Push."""

    name = "xiaomi"
    base = "https://api.xmpush.xiaomi.com"
    token = re.compile(r"[A-Za-z0-9+/=_-]{8,256}")
    """A comma would make it two."""

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        required(notifier, {"--secret-file (app secret)": secret.app_secret})
        self._headers = FORM | {"authorization": f"key={secret.app_secret}"}
        self._package = notifier.package

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """Texts have limits of their own; what the application gets has the common one."""
        payload = json_text(push.ext) if push.ext or push.data_only else ""
        if not fits(payload):
            return TOO_LARGE
        ours = block(push, "xiaomi")
        opens = intent(ours)
        form = {
            "registration_id": token,
            "restricted_package_name": self._package,
            "pass_through": "1" if push.data_only else "0",
            "payload": payload,
            "time_to_live": str(keep_s(push, now) * 1000),
            "time_to_send": str(push.show_begin_time * 1000) if push.show_begin_time > now else "",
        }
        if not push.data_only:
            form |= {
                "title": shorten(push.title, TITLE_CHARS),
                "description": shorten(push.body, TEXT_CHARS),
                "notify_type": NO_SOUND if push.silent else SOUND_VIBRATION_LIGHT,
                "notify_id": str(number_of(collapse_id)),
                "extra.channel_id": text(ours, "channel_id"),
                "extra.sound_uri": "" if push.silent else text(ours, "sound"),
                "extra.notify_effect": "2" if opens else "1",
                "extra.intent_uri": opens,
            }
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        return VendorRequest(f"{self.url}/v3/message/regid", self._headers, body)

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """Bad tokens come back by name, also when the code says that all is well."""
        found = answer.json()
        code, data = found.get("code"), found.get("data")
        reason = ": ".join(str(found[name]) for name in ("description", "reason") if found.get(name))
        if isinstance(data, dict) and data.get("bad_regids"):
            return PushOutcome(PushState.GONE, reason or "bad_regids")
        if code == NO_TARGET and "valid target" in reason.lower():
            return PushOutcome(PushState.GONE, f"{code} {reason}")
        return by_code(CODES, code, reason, answer, now)
