"""Apple: the APNs provider API, ``POST /3/device/{token}`` over HTTP/2.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns

Either with a token: ``certificate`` is the ``.p8`` signing key, ``app_key`` its key id, ``app_secret`` the team id; or with a certificate:
``certificate`` is the push certificate and its key in PEM. ``app_id`` is the bundle id, the topic.
"""

from __future__ import annotations

import re
from typing import Any, Final

import jwt

from lanying.base.errors import ConfigError
from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import (
    TOO_LARGE,
    Access,
    PushOutcome,
    PushState,
    Vendor,
    VendorAnswer,
    VendorRequest,
    by_status,
    later,
    private_key,
    required,
)
from lanying.push.vendors.payload import fit, flag, header_text, json_bytes, keep_s, text

TOKEN_LIFE_S: Final = 50 * 60
"""Apple takes tokens up to an hour old, and refuses more than one change in 20 minutes."""
UPDATES_S: Final = 20 * 60


class Apns(Vendor):
    """Apple Push Notification service."""

    name = "apns"
    base = "https://api.push.apple.com"
    sandbox = "https://api.sandbox.push.apple.com"
    http2 = True
    token = re.compile(r"[0-9a-fA-F]{32,200}")

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        super().__init__(notifier, secret)
        if not notifier.endpoint and not notifier.environment:
            self.url = self.sandbox
        self._topic, self._key_id, self._team = notifier.app_id, secret.app_key, secret.app_secret
        self._key: Any = None
        required(notifier, {"--app-id (bundle id)": self._topic})
        if "BEGIN CERTIFICATE" in secret.certificate:
            self.certificate = secret.certificate
            check_pair(notifier, secret.certificate.encode())
        else:
            required(notifier, {"--app-key (key id)": self._key_id, "--team-id": self._team})
            self._key = read_key(notifier, secret.certificate)

    def login(self, now: float) -> Access:
        """A token signed here; with a certificate there is none."""
        if self._key is None:
            return Access()
        claims = {"iss": self._team, "iat": int(now)}
        signed = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})
        return Access(signed, now + TOKEN_LIFE_S)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """The headers say how, the payload says what."""
        shown = fit(lambda body: payload(push, body), push.body)
        if shown is None:
            return TOO_LARGE
        headers = {
            "apns-topic": self._topic,
            "apns-push-type": "background" if push.data_only else "alert",
            "apns-priority": "5" if push.data_only else "10",
            "apns-expiration": str(int(now) + keep_s(push, now)),
        }
        collapse_id = header_text(text(push.ios, "apns_collapse_id")) or header_text(collapse_id)
        if collapse_id:
            headers["apns-collapse-id"] = collapse_id
        if access:
            headers["authorization"] = f"bearer {access}"
        return VendorRequest(f"{self.url}/3/device/{token}", headers, json_bytes(payload(push, shown)))

    def stale(self, answer: VendorAnswer) -> bool:
        """Apple says 403 for a token that is too old."""
        return answer.status == 403 and answer.json().get("reason") == "ExpiredProviderToken"

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns"""
        if answer.status == 200:
            return PushOutcome(PushState.SENT)
        reason = str(answer.json().get("reason", ""))
        if answer.status == 410 or reason == "BadDeviceToken":
            return PushOutcome(PushState.GONE, reason or "Unregistered")
        if reason == "TooManyRequests":
            return later(answer, reason, now, device=True)
        if reason == "TooManyProviderTokenUpdates":
            return later(answer, reason, now, UPDATES_S)
        return by_status(answer, reason, now)


def payload(push: Push, body: str) -> dict[str, Any]:
    """https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification"""
    ext: dict[str, Any] = {"ext": push.ext} if push.ext else {}
    if push.image:
        ext["image"] = push.image
    if push.data_only:
        return {"aps": {"content-available": 1}} | ext
    ios = push.ios
    alert: dict[str, Any] = {"title": push.title, "body": body}
    if subtitle := text(ios, "subtitle"):
        alert["subtitle"] = subtitle
    if push.loc_key:
        alert |= {"loc-key": push.loc_key, "loc-args": push.loc_args}
    aps: dict[str, Any] = {"alert": alert, "badge": push.badge}
    if not push.silent:
        aps["sound"] = text(ios, "sound") or "default"
    if push.image:
        aps["mutable-content"] = 1  # the application's service extension fetches it
    aps |= {name: 1 for name in ("content-available", "mutable-content") if flag(ios, name.replace("-", "_"))}
    aps |= {name: found for name in ("category", "thread-id") if (found := text(ios, name.replace("-", "_")))}
    return {"aps": aps} | ext


def read_key(notifier: Notifier, pem: str) -> object:
    """The signing key of a ``.p8`` file. :raises ConfigError: it is none"""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey

    wanted = "--certificate is neither a .p8 key of Apple nor a certificate with its key in PEM"
    key = private_key(pem, f"notifier {notifier.name}: {wanted}")
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(
            f"notifier {notifier.name}: --certificate has a key, but no P-256 one; download the .p8 again"
        )
    return key


def check_pair(notifier: Notifier, pem: bytes) -> None:
    """:raises ConfigError: this is not a certificate together with its key"""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate, key = load_pem_x509_certificate(pem), load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"notifier {notifier.name}: --certificate needs the certificate and its unencrypted key in one PEM file ({error})"
        ) from error
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"notifier {notifier.name}: the key in --certificate belongs to another certificate")


def pem_of_p12(content: bytes, password: str) -> str:
    """Certificate and key of a ``.p12`` file in PEM. :raises ConfigError: it is none, or the password is another one"""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    try:
        key, certificate, _others = pkcs12.load_key_and_certificates(content, password.encode() or None)
    except ValueError as error:
        raise ConfigError(f"--certificate: {error}; --secret-file holds the password of a .p12 file") from error
    if key is None or certificate is None:
        raise ConfigError("--certificate: this .p12 file has no certificate with its key; export both")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (certificate.public_bytes(Encoding.PEM) + pem).decode()
