"""The JavaScript SDK where a server's certificate is no good, or there is no TLS where it is looked for: it says what to do."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY, server_context
from lanying.testing.cluster import Cluster
from lanying.tls.authority import ensure
from tests.tls.ends import door
from tests.web.node import need

HERE = Path(__file__).parent
DAYS = {"good": 0, "ended": -500, "early": 30, "unknown": 0}


def test_every_way_has_its_words(cluster: Cluster, tmp_path: Path) -> None:
    need("ws")
    for name, days in DAYS.items():
        ensure(tmp_path / name, ["localhost"], datetime.now(UTC) + timedelta(days=days))
    bundle = tmp_path / "authorities.pem"
    bundle.write_text("".join((tmp_path / name / AUTHORITY).read_text() for name in DAYS if name != "unknown"))
    with ExitStack() as doors:
        ports = {
            name: doors.enter_context(door(server_context(tmp_path / name / SERVER, tmp_path / name / SERVER_KEY)))
            for name in DAYS
        }
        wanted = {
            f"https://localhost:{ports['ended']}": "certificate has expired",
            f"https://localhost:{ports['early']}": "clock is behind",
            f"https://localhost:{ports['unknown']}": "NODE_EXTRA_CA_CERTS",
            f"https://127.0.0.1:{ports['good']}": "not for this name",
            f"https://{urlsplit(cluster.url).netloc}": "write http://",
        }
        done = subprocess.run(
            ["node", "trust.js", *wanted],
            cwd=HERE,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(bundle)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    lines = done.stdout.splitlines()
    assert len(lines) == len(wanted), done.stdout + done.stderr
    for line, text in zip(lines, wanted.values(), strict=True):
        assert "cannot be reached" in line and text in line
