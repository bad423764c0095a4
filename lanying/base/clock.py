"""Wall time in milliseconds for what clients see, monotonic seconds for deadlines; pure code takes both as arguments."""

from __future__ import annotations

import time

monotonic = time.monotonic


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
