"""Third-party web libraries (socket.io-client 2.4.0, protobufjs 6.11) against a real two-shard server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lanying.testing.cluster import Cluster

HERE = Path(__file__).parent
MISSING = (
    "node is not installed"
    if shutil.which("node") is None
    else "run `npm install` in tests/compat (make test does)"
    if not (HERE / "node_modules/socket.io-client").exists()
    else ""
)


def play(url: str, scenario: str, **environment: str) -> None:
    """A scenario against the server at ``url``; a certificate that is no good ends it."""
    if MISSING and os.environ.get("CI") != "true":
        pytest.skip(MISSING)
    assert not MISSING, MISSING
    done = subprocess.run(
        ["node", str(HERE / "web_client.js"), url, scenario],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", ["chat", "acknowledge", "operations", "kick", "dismissed", "badtoken"])
def test_web_libraries(cluster: Cluster, scenario: str) -> None:
    play(cluster.url, scenario)
