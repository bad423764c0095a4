"""Names of tests."""

from __future__ import annotations


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Masks are random: bytes make no name that stays."""
    return argname if isinstance(val, bytes) else None
