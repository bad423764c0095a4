"""What a person reads when a server's certificate is not good."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lanying.base.errors import ConfigError
from lanying.client import trust
from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY, server_context
from lanying.tls.authority import Authority
from lanying.tls.tunnel import Tunnel
from tests.tls.ends import ClientEnd


def refusal(directory: Path, issued: datetime, name: str, *, authority: bool = True) -> str:
    """The words for a server whose certificate was issued at this time for ``localhost``, called by this name."""
    Authority.make(["localhost"], datetime.now(UTC) - timedelta(days=900)).save(directory)
    Authority.load(directory).issue(directory, ["localhost"], issued)
    server = Tunnel(server_context(directory / SERVER, directory / SERVER_KEY))
    client = ClientEnd(name, trust.context(directory / AUTHORITY if authority else None))
    data = client.step()
    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        while True:
            server.receive(data)
            data = client.step(server.pending())
    return trust.explain(raised.value, name)


@pytest.mark.parametrize(
    ("days", "name", "authority", "text"),
    [
        (-500, "localhost", True, "has expired"),
        (+30, "localhost", True, "clock is behind"),
        (0, "pi.local", True, "not for pi.local"),
        (0, "127.0.0.1", True, "not for 127.0.0.1"),
        (0, "localhost", False, "give the file of its authority"),
    ],
)
def test_every_way_a_certificate_is_no_good_has_its_words(tmp_path, days, name, authority, text):
    assert text in refusal(tmp_path, datetime.now(UTC) + timedelta(days=days), name, authority=authority)


def test_who_speaks_no_tls_is_named_as_such():
    end = ClientEnd("localhost", trust.context(None))
    end.step()
    with pytest.raises(ssl.SSLError) as raised:
        end.step(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "write http://" in trust.explain(raised.value, "localhost")


def test_another_error_is_said_as_it_is():
    assert trust.explain(ConnectionRefusedError(111, "Connection refused"), "x") == "[Errno 111] Connection refused"
    assert trust.explain(TimeoutError(), "x") == "TimeoutError"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_is_no_authority_is_refused_with_its_name(tmp_path, content):
    if content:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem.*PEM"):
        trust.context(tmp_path / "ca.pem")
