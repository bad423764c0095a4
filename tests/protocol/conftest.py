"""Property tests without a deadline per example: a Raspberry Pi is slow, not wrong."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("protocol", deadline=None)
settings.load_profile("protocol")
