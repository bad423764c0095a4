"""The service under a real systemd, in namespaces of its own; where the system does not allow that, skipped."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/test_service.sh"
NOT_HERE = 77


def run(*arguments):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=600)
    if done.returncode == NOT_HERE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_service_starts_serves_survives_and_stops_under_systemd():
    said = run("--quick")
    assert "ok    kill -9: started again by systemd" in said and said.splitlines()[-1].startswith(
        "ok    the unit is gone"
    )


@pytest.mark.slow
def test_systemd_ends_a_server_that_hangs():
    assert "ok    watchdog named as the reason" in run()
