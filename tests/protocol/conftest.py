"""Property tests without a deadline per example: a Raspberry Pi is slow, not wrong."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("protocol", deadline=None)
settings.load_profile("protocol")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Masks are random: bytes make no name that stays."""
    return argname if isinstance(val, bytes) else None
