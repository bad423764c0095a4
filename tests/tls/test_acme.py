"""When a certificate is due, and what proves a name; the whole of it with an authority: tests/cluster/test_acme.py."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from lanying.config.certificates import SERVER, SERVER_KEY
from lanying.tls import acme
from lanying.tls.authority import Authority
from tests.tls.ends import NOW

NAMES = ["localhost", "pi.local"]
DIRECTORY = "https://acme.example/dir"


class Asked(Exception):
    """The authority was asked."""


def order(
    tls: Path, names: list[str], monkeypatch: pytest.MonkeyPatch, *, wanted: datetime | None = None
) -> acme.Order:
    made = acme.Order(tls, DIRECTORY, "", "http-01", names)

    class Account:
        def renewal_time(self, pem: bytes) -> tuple[datetime | None, datetime]:
            return wanted, NOW

    def issue(account: object) -> None:
        raise Asked

    monkeypatch.setattr(made, "_account", Account)
    monkeypatch.setattr(made, "_issue", issue)
    return made


def issued(tls: Path, names: list[str]) -> None:
    """A certificate of 397 days is there."""
    Authority.make(names, NOW).save(tls)
    own = tls / "acme-acme.example"
    own.mkdir()
    Authority.load(tls).issue(own, names, NOW)


@pytest.mark.parametrize(
    ("days", "wanted_days", "due"),
    [
        (0, None, False),
        (190, None, False),
        (250, None, False),
        (270, None, True),
        (100, 50, False),
        (210, 205, True),
        (270, 300, False),
        (500, None, True),
    ],
)
def test_it_is_asked_for_when_due_by_its_age_or_the_authoritys_word(tmp_path, monkeypatch, days, wanted_days, due):
    issued(tmp_path, NAMES)
    wanted = None if wanted_days is None else NOW + timedelta(days=wanted_days)
    now = NOW + timedelta(days=days)
    if due:
        with pytest.raises(Asked):
            order(tmp_path, NAMES, monkeypatch, wanted=wanted).ensure(now)
    else:
        assert not order(tmp_path, NAMES, monkeypatch, wanted=wanted).ensure(now)


@pytest.mark.parametrize("damage", ["nothing there", "other names", "another key", "half a file"])
def test_it_is_asked_for_when_what_is_there_is_no_good(tmp_path, monkeypatch, damage):
    names = NAMES
    if damage != "nothing there":
        issued(tmp_path, NAMES)
    own = tmp_path / "acme-acme.example"
    if damage == "other names":
        names = [*NAMES, "chat.local"]
    elif damage == "another key":
        (own / SERVER_KEY).write_bytes((tmp_path / "authority-key.pem").read_bytes())
    elif damage == "half a file":
        (own / SERVER).write_bytes((own / SERVER).read_bytes()[:300])
    with pytest.raises(Asked):
        order(tmp_path, names, monkeypatch).ensure(NOW)


def test_the_proof_over_tls_is_a_certificate_with_the_digest_and_its_key(tmp_path):
    (tmp_path / "proof.pem").write_bytes(acme._alpn_certificate("chat.example", "token.thumb"))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "proof.pem")
    found = x509.load_pem_x509_certificate((tmp_path / "proof.pem").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["chat.example"]
    marked = found.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert marked.critical and marked.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumb").digest()
    assert found.not_valid_before_utc < datetime.now(UTC) < found.not_valid_after_utc


def test_an_authority_that_cannot_be_reached_is_one_line_and_no_traceback(tmp_path, capsys):
    assert acme.main([str(tmp_path), "https://127.0.0.1:1/dir", "http-01", "", "chat.example"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("acme: ") and said.count("\n") == 1
