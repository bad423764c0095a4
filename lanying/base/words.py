"""The word filter: finds every forbidden word of a list in one pass over a text (Aho-Corasick). Pure but for :func:`read`.

A word of Latin letters and digits is found as a whole word only ("class" is no insult); any other one, like Chinese, anywhere. Both
are compared as they are read (:mod:`lanying.base.folding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import ahocorasick

from lanying.base import limits, texts
from lanying.base.errors import ConfigError
from lanying.base.folding import folded, places


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
            if as_read := folded(word):
                self._automaton.add_word(as_read, (len(as_read), _is_latin(as_read)))
        self._automaton.make_automaton()

    def finds(self, text: str) -> bool:
        """Is there a forbidden word in the text?"""
        return next(self._hits(folded(text)), None) is not None

    def mask(self, text: str) -> str | None:
        """The text with asterisks for its forbidden words, and for what is hidden in them; None: there are none."""
        hits = [*self._hits(folded(text))]
        if not hits:
            return None
        origin, letters = places(text), list(text)
        for start, stop in hits:
            first, last = origin[start], origin[stop - 1]
            letters[first : last + 1] = "*" * (last + 1 - first)
        return "".join(letters)

    def _hits(self, text: str) -> Iterator[tuple[int, int]]:
        if not text or not len(self._automaton):  # of an empty list there is no automaton
            return
        for last, (length, latin) in self._automaton.iter(text):
            start, stop = last + 1 - length, last + 1
            if not latin or not (_is_latin(text[start - 1 : start]) or _is_latin(text[stop : stop + 1])):
                yield start, stop


def _is_latin(text: str) -> bool:
    return text.isalnum() and max(text) < "\u0250"
