"""Random faults in short, and the seeds that found something."""

from __future__ import annotations

import pytest

from tests.adversity.random_faults import run

SECONDS = 4.0
KEPT: tuple[int, ...] = ()
"""Seeds that failed once."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [7, *KEPT])
def test_random_faults(seed: int) -> None:
    assert run(seed, SECONDS) > 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(100, 105))
def test_random_faults_for_longer(seed: int) -> None:
    assert run(seed, 60.0) > 100
