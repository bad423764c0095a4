"""A run of a target: plain, or guided by coverage where ``atheris`` is installed."""

from __future__ import annotations

import hashlib
import os
import random
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.fuzz.growth import Growth
from tests.fuzz.mutator import MOST_BYTES, Mutator
from tests.fuzz.target import Found, Spent, Target, Tracebacks, held

CORPUS = Path(__file__).with_name("corpus")
SAID_EVERY_S = 60.0
LOOK_EVERY_S = 2.0
GUIDED_MB = 256.0
"""The fuzzer itself keeps every input that reached something: with it a process may have so much more than at its beginning."""


def kept(name: str) -> list[bytes]:
    """The corpus of a target."""
    return [file.read_bytes() for file in sorted((CORPUS / name).glob("*"))]


class Run:
    """Inputs one after the other, held to what holds for all. A context manager: it looks into the log.

    :param most: inputs; :param seconds: 0: as long as they take
    :ivar count: inputs so far
    :ivar growth: of the process
    """

    def __init__(
        self, name: str, target: Target, most: int, seconds: float = 0.0, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.name, self.target, self.most, self.count = name, target, most, 0
        self._say = say
        self._series: list[bytes] = []
        self._tracebacks, self._spent, self.growth = Tracebacks(), Spent(), Growth(LOOK_EVERY_S)
        self._flat = True
        """Memory has to be."""
        self._begun = self._said = time.monotonic()
        self._end = self._begun + seconds if seconds else float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._tracebacks.end()
        self.target.close()

    @property
    def over(self) -> bool:
        """Enough."""
        return self.count >= self.most or time.monotonic() >= self._end

    def take(self, data: bytes) -> None:
        """One input. :raises Found: what it did; where it is kept"""
        target = self.target
        if target.renewed_every:
            if len(self._series) >= target.renewed_every:
                self._series.clear()
                target.renew()
            self._series.append(data)
        self.count += 1
        try:
            held(target, data, self._tracebacks, self._spent)
        except Exception as error:  # noqa: BLE001 - whatever it was, it was found
            raise Found(f"{self.name}: by {self._keep(data)}\n{error}\n{traceback.format_exc()[-3000:]}") from None
        now = time.monotonic()
        if self.growth.look(now - self._begun):
            self._not_grown()
        if now - self._said > SAID_EVERY_S:
            self._said = now
            self._say(self.summary())

    def plain(self, seed: int) -> None:
        """Inputs by chance from the corpus and the seeds."""
        mutator = Mutator(random.Random(seed), kept(self.name) + self.target.seeds(), self.target.words)
        while not self.over:
            self.take(mutator.next())

    def guided(self, arguments: list[str]) -> None:
        """Inputs that reach what none has reached. Does not return."""
        import atheris

        self._flat = False

        def one(data: bytes) -> None:
            try:
                if not self.over:
                    return self.take(data)
                self.end()
                code = 0
            except Found as found:
                self._say(str(found))
                code = 1
            os._exit(code)  # the fuzzer has no other end that is no crash

        atheris.Setup(["fuzz", f"-max_len={MOST_BYTES}", "-rss_limit_mb=0", "-print_final_stats=0", *arguments], one)
        atheris.Fuzz()

    def replay(self) -> None:
        """The corpus and the seeds as they are."""
        for data in kept(self.name) + self.target.seeds():
            self.take(data)

    def end(self) -> None:
        """The summary is said. :raises Found: memory has grown"""
        self._say(f"done: {self.summary()}")
        self._not_grown()

    def _not_grown(self) -> None:
        """:raises Found: memory has grown"""
        looks = self.growth.looks
        grown = self.growth.grown if self._flat or looks[-1] > looks[0] + GUIDED_MB else ""
        if grown:
            raise Found(f"{self.name}: the process grew {grown} within {self.count} inputs: {self.growth}")

    def summary(self) -> str:
        """One line."""
        seconds = time.monotonic() - self._begun
        target = self.target
        return (
            f"{self.name}: {self.count} inputs, {target.units} {target.unit}, {seconds:.0f} s, "
            f"{target.units / max(seconds, 0.001):.0f}/s, {self.growth}, nothing found"
        )

    def _keep(self, data: bytes) -> str:
        """Where the input is, and all since the target began anew if it does nothing alone."""
        folder = Path("fuzz-found")
        name = f"{self.name}-{hashlib.sha256(data).hexdigest()[:10]}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        if not self.target.renewed_every or self._alone(data):
            return str(folder / name)
        for number, before in enumerate(self._series):
            (folder / f"{name}-series").mkdir(exist_ok=True)
            (folder / f"{name}-series" / f"{number:05}").write_bytes(before)
        return f"{folder / name}-series (all of it, in order)"

    def _alone(self, data: bytes) -> bool:
        self._tracebacks.take()
        self.target.renew()
        try:
            held(self.target, data, self._tracebacks, self._spent)
        except Exception:  # noqa: BLE001 - as before
            return True
        return False
