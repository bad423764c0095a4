"""An answer to a call that is not known yet: another shard has to be asked first."""

from __future__ import annotations

from collections.abc import Callable

from lanying.base.errors import CallError


class Later:
    """A handler returns one instead of its answer and settles it once, at once or in a later tick."""

    __slots__ = ("_result", "_then")

    def __init__(self) -> None:
        self._result: bytes | CallError | None = None
        self._then: Callable[[bytes | CallError], None] | None = None

    def settle(self, result: bytes | CallError) -> None:
        """The encoded answer, or why there is none."""
        assert self._result is None, "an answer is given once"
        self._result = result
        if self._then is not None:
            self._then(result)

    def then(self, take: Callable[[bytes | CallError], None]) -> None:
        """Who takes the answer."""
        self._then = take
        if self._result is not None:
            take(self._result)
