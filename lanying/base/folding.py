"""Texts as a reader sees them, for lists of words and names to be looked for in. Pure.

Width, case and accents do not count, and what shows nothing (zero-width characters, direction marks, variation selectors) is not there:
``Ｂ\u200bÁｄ`` is ``bad``. Letters of another script that look alike are other letters.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from lanying.base import limits


class _Folded(dict[int, str]):
    """What each character becomes, found when it is met first."""

    def __missing__(self, point: int) -> str:
        if len(self) >= limits.FOLDED_CHARS:
            self.clear()
        parts = unicodedata.normalize("NFKD", chr(point)).casefold()
        self[point] = found = "".join(part for part in unicodedata.normalize("NFKD", parts) if not _unseen(part))
        return found


def folded(text: str) -> str:
    """The text as it is compared."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def places(text: str) -> list[int]:
    """For each character of :func:`folded`, the place in ``text`` of that it comes from."""
    if text.isascii():
        return list(range(len(text)))
    return [place for place, letter in enumerate(text) for _ in _FOLDED[ord(letter)]]


def letters(text: str) -> str:
    """Its letters and digits alone: what is left of ``【 Ａdmin_ 】`` is ``admin``."""
    return "".join(letter for letter in folded(text) if letter.isalnum())


def _unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or "\u0300" <= char <= "\u036f" or "\ufe00" <= char <= "\ufe0f"


_FOLDED: Final = _Folded()
