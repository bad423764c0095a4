"""Google: Firebase Cloud Messaging, HTTP v1, ``POST /v1/projects/{project}/messages:send``.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages

``certificate`` is the service account's JSON file. Its key signs a JWT that Google's OAuth server changes for an access token (RFC 7523).
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import msgspec

from lanying.base.errors import ConfigError
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
    by_status,
    later,
    private_key,
)
from lanying.push.vendors.payload import block, fit, intent, json_bytes, json_text, keep_s, text

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
QUOTA_S: Final = 60.0
"""Google asks for at least a minute after QUOTA_EXCEEDED."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """What counts of the file of the same name."""

    project_id: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"


class Fcm(Vendor):
    """Firebase Cloud Messaging."""

    name = "fcm"
    base = "https://fcm.googleapis.com"
    token = re.compile(r"[A-Za-z0-9:_.~%/+=-]{20,4096}")

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        self._account = read_account(notifier, secret.certificate)
        self._key = read_key(notifier, self._account.private_key)
        self._login_url = f"{notifier.login_endpoint.rstrip('/')}/token" if notifier.login_endpoint else ""

    def login(self, now: float) -> VendorRequest:
        """A signed assertion, good for an hour."""
        account = self._account
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        headers = {"kid": account.private_key_id} if account.private_key_id else None
        signed = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        form = urlencode({"grant_type": GRANT, "assertion": signed}).encode()
        return VendorRequest(self._login_url or account.token_uri, FORM, form)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """The token does not count for the size of the payload."""

        shown = fit(lambda body: message(push, body, collapse_id, now), push.body)
        if shown is None:
            return TOO_LARGE
        body = json_bytes({"message": {"token": token} | message(push, shown, collapse_id, now)})
        headers = JSON | {"authorization": f"Bearer {access}"}
        return VendorRequest(f"{self.url}/v1/projects/{self._account.project_id}/messages:send", headers, body)

    def stale(self, answer: VendorAnswer) -> bool:
        """401 also says that Google has no certificate for APNs: then a new token is no help."""
        return answer.status == 401 and error_of(answer)[0] != "THIRD_PARTY_AUTH_ERROR"

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode"""
        if answer.status == 200:
            return PushOutcome(PushState.SENT)
        code, about = error_of(answer)
        reason = f"{code}: {about}" if code and about else code or about
        if code == "UNREGISTERED" or (code == "INVALID_ARGUMENT" and "registration token" in about.lower()):
            return PushOutcome(PushState.GONE, reason)
        if code == "QUOTA_EXCEEDED":  # 240 a minute for a device, 600,000 for all: it is the device's
            return later(answer, reason, now, QUOTA_S, device=True)
        return by_status(answer, reason, now)


def message(push: Push, body: str, collapse_id: str, now: float) -> dict[str, Any]:
    """A ``Message`` without its token."""
    android: dict[str, Any] = {"priority": "HIGH", "ttl": f"{keep_s(push, now)}s"}
    found: dict[str, Any] = {"android": android}
    if push.ext:
        found["data"] = {"ext": json_text(push.ext)}
    if push.data_only:
        return found | {"data": found.get("data", {"ext": "{}"})}
    ours = block(push, "fcm")
    shown: dict[str, Any] = {"tag": collapse_id, "notification_count": push.badge}
    if push.silent:
        shown["notification_priority"] = "PRIORITY_LOW"
    elif sound := text(ours, "sound"):
        shown["sound"] = sound
    else:
        shown["default_sound"] = True
    shown["channel_id"] = text(ours, "channel_id")
    shown["click_action"] = intent(ours)
    if push.loc_key:
        shown |= {"body_loc_key": push.loc_key, "body_loc_args": push.loc_args}
    android["notification"] = {name: value for name, value in shown.items() if value not in ("", 0)}
    image = {"image": push.image} if push.image else {}
    return {"notification": {"title": push.title, "body": body} | image} | found


def error_of(answer: VendorAnswer) -> tuple[str, str]:
    """FCM's error code, or Google's status, and what it says."""
    error = answer.json().get("error")
    if not isinstance(error, dict):
        return "", f"HTTP {answer.status}"
    details = error.get("details")
    rows = [row for row in details if isinstance(row, dict)] if isinstance(details, list) else []
    code = next((row["errorCode"] for row in rows if isinstance(row.get("errorCode"), str)), error.get("status", ""))
    fields = [str(row.get("fieldViolations", "")) for row in rows]
    about = str(error.get("message", ""))
    return str(code), f"{about} (registration token)" if "message.token" in "".join(fields) else about


def read_account(notifier: Notifier, text: str) -> ServiceAccount:
    """:raises ConfigError: the file is no service account"""
    wanted = f"notifier {notifier.name}: --certificate is the service account's JSON file (Firebase console, Service accounts)"
    try:
        account = msgspec.json.decode(text, type=ServiceAccount)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{wanted}; {error}") from error
    if not re.fullmatch(r"[A-Za-z0-9:._-]{1,100}", account.project_id):
        raise ConfigError(f"{wanted}; its project_id is no project id")
    if not re.match(r"https?://[^/\s]+/", account.token_uri):
        raise ConfigError(f"{wanted}; its token_uri is no address")
    return account


def read_key(notifier: Notifier, pem: str) -> Any:
    """The account's RSA key. :raises ConfigError: it is none"""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    key = private_key(pem, f"notifier {notifier.name}: private_key of the service account is no key")
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"notifier {notifier.name}: private_key of the service account is no RSA key")
    return key
