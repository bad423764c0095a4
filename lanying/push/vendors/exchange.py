"""What the vendors share: requests, answers, and what became of a push. Pure.

A :class:`Vendor` is made of a notifier and lives as long as it. The sender asks it, in this order::

    login(now)     an Access, or the Request whose Answer access() reads
    request(…)     the push as a Request
    stale(answer)  the vendor does not take the access token any more: log in again and repeat, once
    outcome(…)     what became of the push
"""

from __future__ import annotations

import email.utils
import enum
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from lanying.base import jsons, limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Notifier, Secret
from lanying.push.decision import Push

JSON: Final = {"content-type": "application/json"}
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


class PushState(enum.StrEnum):
    """What became of a push."""

    SENT = "sent"
    GONE = "gone"
    LATER = "later"
    REFUSED = "refused"


class PushOutcome(msgspec.Struct, frozen=True):
    """The vendor's answer to a push.

    :ivar state: ``SENT``: the vendor has it; ``GONE``: the token is dead, unbind it; ``LATER``: try again; ``REFUSED``: it never will
    :ivar reason: the vendor's word or the error, for people
    :ivar retry_after_s: of ``LATER``
    :ivar device: of ``LATER``: only this device has had too many, others go on
    """

    state: PushState
    reason: str = ""
    retry_after_s: float = 0.0
    device: bool = False


TOO_LARGE: Final = PushOutcome(PushState.REFUSED, "more than this vendor takes, even without its text")
NO_DATA: Final = PushOutcome(PushState.REFUSED, "this vendor delivers nothing to applications but what it shows")


class PushTarget(msgspec.Struct, frozen=True):
    """A device: its token, and the notifier with its secret that reaches it."""

    notifier: Notifier
    secret: Secret
    token: str


class VendorRequest(msgspec.Struct, frozen=True):
    """An HTTP POST."""

    url: str
    headers: dict[str, str]
    body: bytes


class VendorAnswer(msgspec.Struct, frozen=True):
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """The body if it is a JSON object, else nothing."""
        try:
            found = jsons.read(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Access(msgspec.Struct, frozen=True):
    """What proves who we are, until a time in seconds since 1970."""

    token: str = ""
    until: float = float("inf")


class Vendor:
    """What differs between vendors. Everything here is pure; ``now`` is seconds since 1970.

    :raises ConfigError: (constructor) fields of the notifier are missing or malformed; the text names them
    """

    name: ClassVar[str]
    base: ClassVar[str]
    http2: ClassVar[bool] = False
    token: ClassVar[re.Pattern[str]]
    """What a device token looks like. They come from users."""

    def __init__(self, notifier: Notifier, secret: Secret) -> None:
        self.url = notifier.endpoint.rstrip("/") or self.base
        self.certificate = ""
        """Client certificate with its key, in PEM."""

    def login(self, now: float) -> VendorRequest | Access:
        """How to get an access token; vendors without log in like this."""
        return Access()

    def access(self, answer: VendorAnswer, now: float) -> Access | PushOutcome:
        """The access token of a login's answer; as OAuth 2 has it unless the vendor has its own way."""
        return bearer(answer, now)

    def request(self, token: str, push: Push, collapse_id: str, access: str, now: float) -> VendorRequest | PushOutcome:
        """The push for a device, or why there cannot be one: :data:`TOO_LARGE`, :data:`NO_DATA`."""
        raise NotImplementedError

    def stale(self, answer: VendorAnswer) -> bool:
        """Was the access token not taken? Not asked of a vendor that has none."""
        return answer.status == 401

    def outcome(self, answer: VendorAnswer, now: float) -> PushOutcome:
        """What the answer to a push means."""
        raise NotImplementedError


def by_status(answer: VendorAnswer, reason: str, now: float) -> PushOutcome:
    """What an HTTP status means when the vendor says nothing better."""
    if answer.status == 429 or answer.status >= 500:
        return later(answer, reason, now)
    return PushOutcome(PushState.REFUSED, reason or f"HTTP {answer.status}")


def by_code(codes: Mapping[int, PushState], code: object, reason: str, answer: VendorAnswer, now: float) -> PushOutcome:
    """What a vendor's own code means: as in ``codes``, else refused. Without one the answer is not the vendor's."""
    text = str(code)
    if isinstance(code, bool) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        return later(answer, reason, now) if answer.status == 200 else by_status(answer, reason, now)
    state = codes.get(int(text), PushState.REFUSED)
    if state is PushState.SENT:
        return PushOutcome(state) if answer.status == 200 else by_status(answer, reason, now)
    said = f"{text} {reason}".rstrip()
    return later(answer, said, now) if state is PushState.LATER else PushOutcome(state, said)


def later(
    answer: VendorAnswer, reason: str, now: float, wait_s: float = limits.VENDOR_RETRY_S, device: bool = False
) -> PushOutcome:
    """Try again when ``Retry-After`` says, else after ``wait_s``."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isdecimal() and asked.isascii() and len(asked) < 10:
        wait_s = int(asked)
    elif asked:
        try:
            wait_s = email.utils.parsedate_to_datetime(asked).timestamp() - now
        except (ValueError, OverflowError):
            pass
    wait_s = min(max(wait_s, 1.0), limits.VENDOR_RETRY_MAX_S)
    return PushOutcome(PushState.LATER, reason or f"HTTP {answer.status}", wait_s, device)


def is_token(value: object) -> bool:
    """May it stand in a header?"""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def bearer(answer: VendorAnswer, now: float) -> Access | PushOutcome:
    """The access token of an OAuth 2 answer (RFC 6749 section 5), renewed a tenth of its life before it ends."""
    found = answer.json()
    token, life_s = found.get("access_token"), found.get("expires_in")
    if answer.status == 200 and is_token(token):
        if not isinstance(life_s, int | float) or not 0 < life_s <= limits.VENDOR_ACCESS_MAX_S:
            life_s = 3600.0
        return Access(str(token), now + life_s * 0.9)
    reason = str(found.get("error_description") or found.get("error") or f"HTTP {answer.status}")
    return by_status(answer, f"login refused: {reason}", now)


def token_of(
    answer: VendorAnswer, holder: object, name: str, reason: str, until: float, now: float
) -> Access | PushOutcome:
    """The access token of a vendor that has its own kind of login."""
    token = holder.get(name) if isinstance(holder, dict) else None
    if answer.status == 200 and is_token(token):
        return Access(str(token), until)
    return by_status(answer, f"login refused: {reason or f'HTTP {answer.status}'}", now)


def required(notifier: Notifier, fields: dict[str, str]) -> None:
    """:raises ConfigError: a field, by the name of its option, is empty or would break a header"""
    missing = [option for option, value in fields.items() if not value]
    if missing:
        raise ConfigError(f"notifier {notifier.name}: {' and '.join(missing)} missing; see docs/push.md, Vendors")
    broken = [option for option, value in fields.items() if not re.fullmatch(r"[!-~]+", value)]
    if broken:
        raise ConfigError(f"notifier {notifier.name}: {' and '.join(broken)} must be printable ASCII without spaces")


def private_key(pem: str, wanted: str) -> object:
    """The key in a PEM file. :raises ConfigError: it is none; ``wanted`` says what it has to be"""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{wanted} ({error})") from error


def digits(notifier: Notifier) -> None:
    """:raises ConfigError: the app id is not the number it is at this vendor"""
    if not re.fullmatch(r"[0-9]{1,18}", notifier.app_id):
        raise ConfigError(f"notifier {notifier.name}: --app-id is a number, as the vendor's console shows it")
