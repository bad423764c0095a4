"""Signed texts that name a file: tickets to upload one and addresses to download it. Pure.

A sign is ``struct`` + the first 16 bytes of its HMAC-SHA-256 with the app's key, URL-safe base64 without padding:
purpose u8 (1 upload, 2 download), owner u64, number u64, file type u8, to_type u8, to_id u64, expires u32 (seconds since
1970, 0: never), and of a ticket the epoch u64: it ends with the tokens of its owner. A caller with a sign for download and a good token
of the app may read the file.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from typing import Final, NamedTuple

UPLOAD: Final = 1
DOWNLOAD: Final = 2
MAX_CHARS: Final = 200

_FORMATS: Final = {UPLOAD: struct.Struct(">BQQBBQIQ"), DOWNLOAD: struct.Struct(">BQQBBQI")}
_MAC_BYTES: Final = 16
_DOMAIN: Final = b"lanying file sign\0"


class Sign(NamedTuple):
    """What a sign says; the module says what the fields are."""

    purpose: int
    owner: int
    number: int
    file_type: int
    to_type: int
    to_id: int
    expires: int
    epoch: int = 0


def write(key: bytes, sign: Sign) -> str:
    """The text of a sign."""
    body = _FORMATS[sign.purpose].pack(*(sign if sign.purpose == UPLOAD else sign[:-1]))
    return base64.urlsafe_b64encode(body + _mac(key, body)).rstrip(b"=").decode()


def read(key: bytes, text: str, purpose: int, now_s: int) -> Sign | None:
    """What a text says; None: forged, for something else or expired. Clients cut addresses apart: what follows ``&`` is ignored."""
    text = text.partition("&")[0]
    if len(text) > MAX_CHARS:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    form = _FORMATS[purpose]
    body, mac = data[: form.size], data[form.size :]
    if len(body) < form.size or not hmac.compare_digest(mac, _mac(key, body)):
        return None
    sign = Sign(*form.unpack(body))
    if sign.purpose != purpose or (sign.expires and sign.expires <= now_s):
        return None
    return sign


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + body, "sha256")[:_MAC_BYTES]
