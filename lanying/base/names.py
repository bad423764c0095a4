"""Which user names are allowed: asked by the gateway before it hashes a password, by the shard that claims a name. And which are one."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from lanying.base import limits

_PATTERN: Final = re.compile(r"(?!mta|maxim)[a-zA-Z0-9_\u4e00-\u9fa5]+")

_NARROW: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
"""Full-width letters, as Chinese and Japanese keyboards write them, to those they stand for."""


def compared(name: str) -> str:
    """What two names that are one have in common: case, width and the way of writing accents do not count (RFC 8265, 3.3)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.translate(_NARROW)).casefold())


def username_error(name: str) -> str | None:
    """Why ``name`` cannot be a user name, with the remedy; None if it can."""
    if not name or len(name) > limits.USERNAME_CHARS:
        return f"a username has 1 to {limits.USERNAME_CHARS} characters"
    if not _PATTERN.fullmatch(name):
        return "a username is made of letters, digits, underscores and Han characters, not starting with mta or maxim"
    if name.isdigit():
        return "a username does not consist of digits only; add a letter"
    return None
