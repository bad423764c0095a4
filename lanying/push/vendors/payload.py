"""Helpers for payloads: what fits, and what users wrote into platform blocks. Pure."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import re
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from lanying.base import limits
from lanying.push.decision import Push

json_bytes = msgspec.json.encode


def json_text(value: object) -> str:
    """Compact JSON as text."""
    return json_bytes(value).decode()


def fit(build: Callable[[str], object], body: str, most: int = limits.VENDOR_PAYLOAD_BYTES) -> str | None:
    """As much of ``body`` as makes a payload of at most ``most`` bytes of JSON; None when even an empty one is too much."""

    def size(shown: str) -> int:
        return len(json_bytes(build(shown)))

    if size(body) <= most:
        return body
    kept = bisect.bisect_right(range(len(body)), most, key=lambda chars: size(body[:chars] + "…")) - 1
    return body[:kept] + "…" if kept >= 0 else None


def fits(text: str, most: int = limits.VENDOR_PAYLOAD_BYTES) -> bool:
    """At most so many bytes of UTF-8?"""
    return len(text.encode()) <= most


def shorten(text: str, most: int) -> str:
    """At most this many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shorten_wide(text: str, most: int) -> str:
    """At most this many columns: what is not ASCII takes two."""
    widths = list(itertools.accumulate(1 if letter.isascii() else 2 for letter in text))
    if not widths or widths[-1] <= most:
        return text
    return text[: bisect.bisect_right(widths, most - 2)] + "…"


def block(push: Push, vendor: str) -> dict[str, Any]:
    """The ``android`` block with the vendor's own laid over it."""
    return push.android | push.vendors.get(vendor, {})


def text(values: dict[str, Any], name: str, most: int = 200) -> str:
    """A text out of a block, empty when it is none or too long: users write them."""
    value = values.get(name)
    return value if isinstance(value, str) and len(value) <= most else ""


def choice(values: dict[str, Any], name: str, allowed: tuple[int, ...]) -> int | None:
    """A number out of a block, also one written as text; None when it is none of the allowed ones."""
    value = values.get(name)
    return next((it for it in allowed if not isinstance(value, bool) and value in (it, str(it))), None)


def intent(values: dict[str, Any]) -> str:
    """What a tap opens inside the application; empty: its first page."""
    return text(values, "intent", 1000) if values.get("click_action") == "intent" else ""


def flag(values: dict[str, Any], name: str) -> bool:
    """Is it true, 1 or "1"?"""
    return values.get(name) in (True, 1, "1", "true")


def header_text(value: str, most: int = 64) -> str:
    """A text that may stand in a header, else nothing."""
    return value if re.fullmatch(f"[!-~]{{1,{most}}}", value) else ""


def number_of(collapse_id: str) -> int:
    """A positive 31-bit number that stands for a collapse id where vendors want one."""
    return zlib.crc32(collapse_id.encode()) & 0x7FFFFFFF or 1


def once(collapse_id: str, token: str) -> str:
    """Idempotency key per push and device: vendors do not document that theirs is per device."""
    return hashlib.sha256(f"{collapse_id} {token}".encode()).hexdigest()[:32]


def keep_s(push: Push, now: float, most: int = limits.VENDOR_KEEP_S, least: int = 60) -> int:
    """How long the vendor shall keep the push for a device that is off."""
    wanted = int(push.show_end_time - now) if push.show_end_time else limits.VENDOR_KEEP_S
    return min(max(wanted, least), most)
