"""The page over https in a real browser that trusts the server's own authority, as a person's does who has followed /trust."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanying.config.certificates import AUTHORITY, DIRECTORY, fingerprint
from lanying.testing.cluster import Cluster
from tests.web.node import need
from tests.web.test_page import run_page


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, shards=1, listen_tls="127.0.0.1:0") as running:
        yield running


def home(directory: Path, authority: Path) -> Path:
    """A home directory where Chromium finds this authority."""
    store = directory / ".pki" / "nssdb"
    store.mkdir(parents=True)
    database = ["-d", f"sql:{store}"]
    subprocess.run(["certutil", *database, "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", *database, "-A", "-n", "lanying", "-t", "C,,", "-i", str(authority)], check=True)
    return directory


@pytest.mark.timeout(240)
def test_people_chat_over_https(server: Cluster, tmp_path: Path) -> None:
    need("playwright-core", os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    need("playwright-core", "certutil")
    authority = server.data / DIRECTORY / AUTHORITY
    (tmp_path / "empty").mkdir()
    environment = {
        "HOME": str(home(tmp_path / "home", authority)),
        "LANYING_EMPTY_HOME": str(tmp_path / "empty"),
        "LANYING_FINGERPRINT": fingerprint(ssl.PEM_cert_to_DER_cert(authority.read_text())),
    }
    assert run_page("secure.test.js", str(server.status()["tls_url"]), server, **environment) == ""
