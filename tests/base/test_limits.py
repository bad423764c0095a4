"""Limits: every relation between two of them is checked where they stand, and limits of other modules fit them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lanying.base import limits
from lanying.bus.handoff import wire

SOURCE = Path(limits.__file__).read_text("utf-8")
RELATIONS = [ast.unparse(node.test) for node in ast.parse(SOURCE).body if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TICK_BYTES", limits.LINK_BLOB_BYTES - 1),
        ("LINK_BLOB_BYTES", limits.LINK_BUNDLE_BYTES - 1),
        ("MESSAGE_BYTES", limits.MAX_MESSAGE_BYTES),
        ("OUT_SOFT_BYTES", limits.BATCH_BYTES),
        ("OUT_HARD_BYTES", limits.OUT_SOFT_BYTES),
        ("SESSION_IDLE_S", limits.PING_INTERVAL_MS / 1000),
        ("HUNG_AFTER_S", limits.HEARTBEAT_INTERVAL_S),
        ("LINK_ACK_S", limits.LINK_RESEND_S),
        ("LOGIN_TIMEOUT_S", limits.CLIENT_LOGIN_TIMEOUT_S),
        ("UPLOADS", limits.UPLOADS_PER_USER),
    ],
)
def test_a_limit_that_another_one_needs_cannot_be_changed_alone(name: str, value: float) -> None:
    changed, count = re.subn(rf"^{name}: Final = .*$", f"{name}: Final = {value!r}", SOURCE, flags=re.MULTILINE)
    assert count == 1
    with pytest.raises(AssertionError):
        exec(compile(changed, "limits", "exec"), {})  # noqa: S102 - our own file, one number changed


def test_relations_name_limits_that_are_there_and_compare_different_ones() -> None:
    assert len(RELATIONS) > 15
    for relation in RELATIONS:
        names = re.findall(r"[A-Z][A-Z_0-9]+", relation)
        assert len(set(names)) > 1, relation


def test_a_hand_off_carries_whatever_a_connection_may_have_sent_before_its_login() -> None:
    assert wire.RECORD_BYTES >= limits.LOGIN_BYTES + limits.READ_BYTES
