"""The web client in a real browser against a real server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lanying.testing.cluster import Cluster
from tests.web.node import need

HERE = Path(__file__).parent
LIMIT_S = 600
"""Of CPU time a browser takes half a minute here; the machine runs other tests as well."""
TO_SAY_SO_S = 60
"""The limit on a test's time ends the whole run when it comes while a failure is being written."""


@pytest.mark.timeout(LIMIT_S + TO_SAY_SO_S)
def test_people_chat(cluster: Cluster) -> None:
    need("playwright-core", os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    done = subprocess.run(
        ["node", "browser.js", cluster.url],
        cwd=HERE,
        env={**os.environ, "LANYING_ADMIN_TOKEN": cluster.admin_token},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]


def run_page(file: str, url: str, cluster: Cluster, **environment: str) -> str:
    """Tests of the page that lies at ``url``: what went wrong, empty for nothing."""
    need("playwright-core", os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", file],
        cwd=HERE,
        env={**os.environ, "LANYING_URL": url, "LANYING_ADMIN_TOKEN": cluster.admin_token, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.stdout[-6000:] + done.stderr[-2000:] if done.returncode else ""


@pytest.mark.timeout(LIMIT_S + TO_SAY_SO_S)
@pytest.mark.parametrize("file", ["behaviour.test.js", "hostile.test.js"])
def test_the_page(cluster: Cluster, file: str) -> None:
    assert run_page(file, cluster.url, cluster) == ""
