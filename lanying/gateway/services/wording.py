"""What users may call themselves and write where others read it, besides messages, which their shard judges."""

from __future__ import annotations

from lanying.base import words
from lanying.base.errors import CallError
from lanying.base.folding import letters
from lanying.base.refusals import Refusal
from lanying.config.schema import Config


class Wording:
    """``accounts.reserved_names`` and ``policy.words_file`` of this server."""

    def __init__(self, config: Config) -> None:
        self._reserved = frozenset(filter(None, map(letters, config.accounts.reserved_names)))
        file = config.policy.words_file
        self._words = words.WordFilter(words.read(file)) if file else None

    def check(self, parameter: str, text: str, *, name: bool) -> None:
        """:raises CallError: 10004 a name the administrator keeps, 10010 a forbidden word; the text names the parameter"""
        if name and letters(text) in self._reserved:
            raise CallError(Refusal.NAME_TAKEN, f"{parameter}: {text} is kept for the administrator, choose another")
        if self._words is not None and self._words.finds(text):
            raise CallError(
                Refusal.FORBIDDEN_WORDS, f"{parameter}: has words this server does not allow, leave them out"
            )
