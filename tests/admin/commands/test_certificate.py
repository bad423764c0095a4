"""What the doctor says of TLS: it comes to a real port and sees what clients would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lanying.admin.commands import certificate
from lanying.admin.commands.patient import Finding, Patient
from lanying.admin.files import ServerFiles
from lanying.config.certificates import CHALLENGES, DIRECTORY, SERVER, SERVER_KEY, server_context
from lanying.config.load import load
from lanying.supervisor.answers import Status
from lanying.tls.authority import SERVER_DAYS, ensure
from tests.tls.ends import door


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., list[Finding]]:
    """The findings about a server whose certificate was made ``days`` ago for these names."""

    def findings(days: int = 0, names: tuple[str, ...] = ("localhost", "127.0.0.1"), **settings: str) -> list[Finding]:
        directory = tmp_path / DIRECTORY
        ensure(directory, names, datetime.now(UTC) - timedelta(days=days))
        files = {"files": str(directory / SERVER), "key": str(directory / SERVER_KEY)}
        environment = {f"LANYING_{key.upper()}": value.format(**files) for key, value in settings.items()}
        with door(server_context(directory / SERVER, directory / SERVER_KEY)) as port:
            config = load(environment=environment, flags={"listen_tls": f"127.0.0.1:{port}"})
            status = Status(tls_url=f"https://127.0.0.1:{port}")
            patient = Patient(tmp_path, config, ServerFiles(tmp_path), status, [], 0.0)
            return [*certificate.certificate(patient)]

    return findings


FILES = {"tls_certificate": "{files}", "tls_key": "{key}"}


def test_what_is_well_is_said_in_a_line(look):
    (finding,) = look()
    assert (finding.check, finding.state) == ("TLS", "ok") and finding.found.startswith("local, good until 20")


@pytest.mark.parametrize(
    ("settings", "ulps", "says"),
    [
        ({"tls_kernel": "true"}, "espintcp tls mptcp\n", "; the kernel encrypts"),
        ({"tls_kernel": "true"}, "mptcp\n", "modprobe tls, then restart)"),
        ({"tls_kernel": "false"}, "tls\n", "; the server encrypts"),
    ],
)
def test_it_says_who_encrypts(look, tmp_path, monkeypatch, settings, ulps, says):
    listed = tmp_path / "ulps"
    listed.write_text(ulps)
    monkeypatch.setattr(certificate, "ULPS", listed)
    (finding,) = look(**settings)
    assert finding.found.endswith(says)


@pytest.mark.parametrize(
    ("check", "state", "text", "ill"),
    [
        ("TLS dates", "bad", "has ended", {"days": SERVER_DAYS + 1}),
        ("TLS dates", "bad", "clock is behind", {"days": -5}),
        ("TLS dates", "warn", "ends on 20", {"days": SERVER_DAYS - 10}),
        ("TLS names", "warn", "not for 127.0.0.1", {"names": ("localhost",)}),
        ("TLS names", "warn", "not for im.example", {"discovery_rest_url": "https://im.example"}),
        ("TLS names", "warn", "not for im.example", {"discovery_message_url": "wss://im.example:8443/x"}),
        ("TLS names", "warn", "not for im.example", {"rest_hosts": "im.example:8443"}),
        ("TLS names", "warn", "is not encrypted", {"discovery_rest_url": "http://localhost"}),
        ("TLS chain", "warn", "self-signed certificate in certificate chain", FILES),
        ("TLS names", "warn", "not for im.example", {**FILES, "tls_names": "im.example"}),
    ],
)
def test_every_illness_is_found_with_its_remedy(look, check, state, text, ill):
    finding = next(one for one in look(**ill) if one.check == check)
    assert finding.state == state and text in finding.found and finding.remedy


def test_a_proxy_in_front_has_a_certificate_of_its_own(look):
    (finding,) = look(discovery_rest_url="https://im.example", listen_proxies="192.0.2.1/32")
    assert finding.state == "ok"


def test_the_servers_own_authority_is_who_devices_trust(look, tmp_path):
    ensure(tmp_path / DIRECTORY, ["localhost"], datetime.now(UTC))
    other = tmp_path / "other"
    ensure(other, ["localhost", "127.0.0.1"], datetime.now(UTC))
    with door(server_context(other / SERVER, other / SERVER_KEY)) as port:
        config = load(environment={}, flags={"listen_tls": f"127.0.0.1:{port}"})
        patient = Patient(tmp_path, config, ServerFiles(tmp_path), Status(), [], 0.0)
        assert [(one.check, one.state) for one in certificate.certificate(patient)] == [("TLS chain", "bad")]


@pytest.mark.parametrize("content", ["no certificate", ""])
def test_files_that_are_no_good_and_not_shown_are_found(look, tmp_path, content):
    bad = tmp_path / "new.pem"
    bad.write_text(content)
    found = look(tls_certificate=str(bad), tls_key="{key}")
    assert ("TLS files", "bad") in [(one.check, one.state) for one in found]


def test_files_that_are_good_and_not_shown_yet_are_found(look, tmp_path):
    other = tmp_path / "other"
    ensure(other, ["localhost", "127.0.0.1"], datetime.now(UTC))
    found = look(tls_certificate=str(other / SERVER), tls_key=str(other / SERVER_KEY))
    assert "not what is shown yet" in next(one.found for one in found if one.check == "TLS files")


def test_a_port_where_nobody_speaks_tls_is_bad(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = load(environment={}, flags={"listen_tls": f"127.0.0.1:{port}"})
    patient = Patient(tmp_path, config, ServerFiles(tmp_path), Status(), [], 0.0)
    (finding,) = certificate.certificate(patient)
    assert finding.state == "bad" and "no handshake" in finding.found


def test_without_tls_nothing_is_looked_at(tmp_path):
    patient = Patient(tmp_path, load(environment={}), ServerFiles(tmp_path), Status(), [], 0.0)
    assert [*certificate.certificate(patient)] == []


class _Gateway(BaseHTTPRequestHandler):
    data: Path

    def do_GET(self) -> None:
        file = self.data / DIRECTORY / CHALLENGES / self.path.rpartition("/")[2]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(file.read_bytes() if self.data != Path() else b"somebody else")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("ours", "wrong"), [(True, []), (False, ["somebody else answers (200)"]), (None, ["refused"])])
def test_the_way_of_a_public_authority_is_tried(look, tmp_path, monkeypatch, ours, wrong):
    monkeypatch.setattr(_Gateway, "data", tmp_path if ours else Path(), raising=False)
    with HTTPServer(("127.0.0.1", 0), _Gateway) as server:
        monkeypatch.setattr(certificate, "HTTP_PORT", server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        if ours is None:
            server.shutdown()
            server.server_close()
        found = look(tls="acme", tls_names="localhost", acme_challenge="http-01")
        if ours is not None:
            server.shutdown()
        thread.join()
    said = [one.found for one in found if one.check == "ACME"]
    assert len(said) == len(wrong) and all(text in one for text, one in zip(wrong, said, strict=True))
    assert not [*(tmp_path / DIRECTORY / CHALLENGES).iterdir()], "the proof is gone"
    assert "no public certificate yet" in next(one.remedy for one in found if one.check == "TLS chain")
