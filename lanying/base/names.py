"""Which user names are allowed: asked by the gateway before it hashes a password, by the shard that claims a name. And which are one."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from lanying.base import limits

_NO_LINE: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
_UNSEEN: Final = frozenset(("Cf", "Mn", "Zs", "Cn"))
"""Categories: control and line separators; what alone shows nothing."""
_DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn round what follows the name, too."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""They shape emoji and Persian."""
_DRAWN: Final = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U000e0020-\U000e007f]")
"""Format characters that are seen: signs of numbers, and the tags of flags."""
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that are drawn as nothing."""
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


def display_name(name: str) -> str:
    """A name people see, as it is kept: composed (NFC), without space around it. Empty: none.

    :raises ValueError: it has a second line, control, direction or invisible characters, or nothing that can be seen; with the remedy
    """
    found = unicodedata.normalize("NFC", name).strip()
    if not found:
        return ""
    kinds = {unicodedata.category(char) for char in found}
    hidden = "Cf" in kinds and any(map(_is_hidden, found))
    if kinds & _NO_LINE or hidden or not _DIRECTIONS.isdisjoint(found):
        raise ValueError("is one line without control, direction or invisible characters; type it anew")
    if kinds <= _UNSEEN or all(char in _BLANKS or unicodedata.category(char) in _UNSEEN for char in found):
        raise ValueError("has nothing in it that can be seen; add a letter")
    return found


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) == "Cf" and char not in _JOINERS and not _DRAWN.match(char)
