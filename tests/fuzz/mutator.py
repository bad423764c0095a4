"""Inputs from inputs, by chance alone: for machines without a coverage-guided fuzzer, and for short runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz.source import NUMBERS

MOST_BYTES = 4096
_EDGES = [number.to_bytes(8, order) for number in NUMBERS for order in ("big", "little")]


class Mutator:
    """:param inputs: what to begin with :param words: what is worth being put in"""

    def __init__(self, chance: random.Random, inputs: Sequence[bytes], words: Sequence[bytes]) -> None:
        self._chance = chance
        self._inputs = list(inputs) or [b""]
        self._words = [*words, *_EDGES]
        self._ways: list[Callable[[bytearray], None]] = [
            self._flip,
            self._byte,
            self._byte,
            self._cut,
            self._double,
            self._noise,
            self._word,
            self._splice,
        ]

    def next(self) -> bytes:
        """An input."""
        chance = self._chance
        data = bytearray(chance.choice(self._inputs))
        for _ in range(chance.choice((1, 1, 2, 3, 5, 10))):
            chance.choice(self._ways)(data)
        return bytes(data[:MOST_BYTES])

    def _at(self, data: bytearray) -> int:
        return self._chance.randrange(len(data) + 1)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)

    def _byte(self, data: bytearray) -> None:
        if data:
            data[self._chance.randrange(len(data))] = self._chance.randrange(256)

    def _cut(self, data: bytearray) -> None:
        at = self._at(data)
        del data[at : at + self._chance.choice((1, 2, 8, 64, MOST_BYTES))]

    def _double(self, data: bytearray) -> None:
        at = self._at(data)
        piece = data[at : at + self._chance.choice((1, 4, 16, 200))]
        data[at:at] = piece * self._chance.choice((1, 1, 2, 20))

    def _noise(self, data: bytearray) -> None:
        at = self._at(data)
        data[at:at] = self._chance.randbytes(self._chance.choice((1, 2, 4, 16, 64)))

    def _word(self, data: bytearray) -> None:
        at, word = self._at(data), self._chance.choice(self._words)
        data[at : at + (len(word) if self._chance.random() < 0.5 else 0)] = word

    def _splice(self, data: bytearray) -> None:
        other = self._chance.choice(self._inputs)
        data[self._at(data) :] = other[self._chance.randrange(len(other) + 1) :]
