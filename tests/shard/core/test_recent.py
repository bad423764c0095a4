"""What is remembered for operators is bounded, and the latest."""

from __future__ import annotations

from lanying.base import limits
from lanying.shard.core.recent import Recent


def test_each_kind_keeps_its_latest() -> None:
    recent = Recent()
    for kept, most in (
        (recent.accepted, limits.RECENT_MESSAGES),
        (recent.removed, limits.RECENT_REMOVED),
        (recent.pushes, limits.RECENT_PUSHES),
        (recent.slow, limits.SLOW_KEPT),
    ):
        for number in range(most + 3):
            kept.append(number)  # type: ignore[attr-defined]
        assert [*kept] == [*range(3, most + 3)]
