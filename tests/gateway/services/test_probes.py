from __future__ import annotations

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.gateway.services.probes import Probes

ALICE, BOB = ("app", 1), ("app", 2)


def test_what_was_found_costs_nothing_and_what_was_not_is_paid_afterwards() -> None:
    now = [0.0]
    probes = Probes(lambda: now[0])
    for _ in range(10_000):
        probes.may_look(ALICE)
        probes.missed(ALICE, 0)
    probes.missed(ALICE, limits.UNKNOWN_PER_HOUR * 2)
    with pytest.raises(CallError, match=r"ids that do not exist; try again in 6. minutes"):
        probes.may_look(ALICE)
    probes.may_look(BOB)
    probes.may_look("")
    now[0] = 3700.0
    probes.may_look(ALICE)


def test_nobody_waits_for_ever() -> None:
    now = [0.0]
    probes = Probes(lambda: now[0])
    probes.missed(ALICE, 10_000_000)
    with pytest.raises(CallError) as refused:
        probes.may_look(ALICE)
    assert refused.value.retry_s < 5 * 3600.0
    now[0] = 5 * 3600.0
    probes.may_look(ALICE)
