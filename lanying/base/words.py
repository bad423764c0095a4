"""The word filter: finds every forbidden word of a list in one pass over a text (Aho-Corasick). Pure but for :func:`read`.

A word of Latin letters and digits is found as a whole word only ("class" is no insult); any other one, like Chinese, anywhere. Case
does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import ahocorasick

from lanying.base import limits, texts
from lanying.base.errors import ConfigError


def read(path: str) -> list[str]:
    """The words of a UTF-8 file with one per line; lines that begin with # are comments.

    :raises ConfigError: unreadable, empty or too long
    """
    try:
        lines = [line.strip() for line in texts.read(Path(path), "give a file this user can read").splitlines()]
    except ConfigError as error:
        raise ConfigError(f"policy.words_file: {error}") from error
    words = [line for line in lines if line and not line.startswith("#")]
    if not words:
        raise ConfigError(f"policy.words_file = {path!r}: has no words; leave the setting out to have no filter")
    if len(words) > limits.WORDS:
        raise ConfigError(f"policy.words_file = {path!r}: has {len(words)} words, at most {limits.WORDS} are taken")
    return words


class WordFilter:
    """A list of words, ready to search."""

    def __init__(self, words: Iterable[str]) -> None:
        self._automaton = ahocorasick.Automaton()
        for word in words:
            folded = _fold(word)
            self._automaton.add_word(folded, (len(folded), _is_latin(folded)))
        self._automaton.make_automaton()

    def mask(self, text: str) -> str | None:
        """The text with asterisks for its forbidden words; None: there are none."""
        hits = [*self._hits(_fold(text))] if text else []
        if not hits:
            return None
        letters = list(text)
        for start, stop in hits:
            letters[start:stop] = "*" * (stop - start)
        return "".join(letters)

    def _hits(self, text: str) -> Iterator[tuple[int, int]]:
        for last, (length, latin) in self._automaton.iter(text):
            start, stop = last + 1 - length, last + 1
            if not latin or not (_is_latin(text[start - 1 : start]) or _is_latin(text[stop : stop + 1])):
                yield start, stop


def _fold(text: str) -> str:
    """Lower case, letter for letter: positions stay."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _is_latin(text: str) -> bool:
    return text.isalnum() and max(text) < "\u0250"
