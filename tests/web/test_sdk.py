"""The JavaScript SDK on Node's test runner against a real server, and what its files have to be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lanying.testing.cluster import Cluster
from tests.web.node import need
from tools import web_schema

HERE = Path(__file__).parent


def test_sdk(cluster: Cluster) -> None:
    need("ws")
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", "sdk.test.js"],
        cwd=HERE,
        env={**os.environ, "LANYING_URL": cluster.url},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_types_of_the_sdk() -> None:
    need("typescript")
    done = subprocess.run(
        ["node_modules/.bin/tsc", "--project", "."], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_schema_is_that_of_the_server() -> None:
    assert web_schema.TARGET.read_text() == web_schema.source(), "run python tools/web_schema.py"
