"""An answer to a call that is not known yet: another shard has to be asked first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from lanying.base.errors import CallError
from lanying.bus.messages import Message, Question

T = TypeVar("T")
P = ParamSpec("P")


class Deferred(Generic[T]):
    """A handler returns one instead of its answer and settles it once, at once or in a later tick. The answer is not None."""

    __slots__ = ("_result", "_then")

    def __init__(self) -> None:
        self._result: T | CallError | None = None
        self._then: Callable[[T | CallError], None] | None = None

    def settle(self, result: T | CallError) -> None:
        """The answer, or why there is none."""
        assert self._result is None, "an answer is given once"
        self._result = result
        if self._then is not None:
            self._then(result)

    def then(self, take: Callable[[T | CallError], None]) -> None:
        """Who takes the answer: at once if it is known.

        :raises CallError: refused already; what led to it can still be taken back, as for every refusal
        """
        if isinstance(self._result, CallError):
            raise self._result
        self._then = take
        if self._result is not None:
            take(self._result)


def defers(
    kind: type[Question[T]],
) -> Callable[[Callable[P, T | Deferred[T]]], tuple[type[Message], Callable[P, object]]]:
    """As :func:`lanying.bus.messages.base.answers`, for a handler that may answer later."""

    def row(handler: Callable[P, T | Deferred[T]]) -> tuple[type[Message], Callable[P, object]]:
        return kind, handler

    return row
