"""The generator's end of TLS: full and resumed handshakes, certificates it does not trust, and a storm of logins over it."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.secure import Secure, trusting
from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY
from lanying.tls.authority import ensure
from lanying.tls.tunnel import Tunnel


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("authority")
    ensure(place, ["127.0.0.1"], datetime.now(UTC))
    return place


@pytest.fixture(scope="module")
def server(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / SERVER, directory / SERVER_KEY)
    return context


def talk(client: Secure, tunnel: Tunnel) -> bytes:
    """Carry bytes until nobody has any; what the client has read."""
    read = b""
    while True:
        there, back = client.pending(), tunnel.pending()
        if not there and not back:
            return read
        if there and (asked := tunnel.receive(there)):
            tunnel.send(b"echo " + asked)
        if back:
            read += client.receive(back)


def connect(context: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Secure:
    client, tunnel = Secure(context, "127.0.0.1", session), Tunnel(server)
    assert not client.open and talk(client, tunnel) == b"" and client.open
    client.send(b"x" * 40_000)
    assert talk(client, tunnel).count(b"x") == 40_000
    return client


def test_a_session_is_taken_up(directory: Path, server: ssl.SSLContext) -> None:
    context = trusting(directory / AUTHORITY)
    first = connect(context, server)
    assert not first.resumed
    assert connect(context, server, first.session).resumed
    assert not connect(context, server).resumed


def test_another_authority_is_not_trusted(server: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(trusting(None), server)


def test_a_storm_of_logins_over_tls_shakes_hands_in_full_and_then_resumes(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "bench.cli", "login", "--tls", "--shards", "1", "--workers", "1", "--json")
    options = ("--users", "5", "--rounds", "1", "--output", str(tmp_path / "runs"))
    done = subprocess.run((*command, *options), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(done.stdout)
    assert record["settings"]["tls"] and record["errors"] == {}
    assert record["figures"]["first_logins"] == record["figures"]["resumed_logins"] == record["figures"]["resumed"] == 5
