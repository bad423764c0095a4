"""The server's own authority: what it vouches for, and when something is made anew."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY
from lanying.tls.authority import AUTHORITY_KEY, SERVER_DAYS, Authority, ensure
from tests.tls.ends import NOW, joined_with

NAMES = ["pi.school.lan", "pi.local", "localhost", "192.168.1.5", "127.0.0.1"]


def served(directory):
    return x509.load_pem_x509_certificate((directory / SERVER).read_bytes())


def test_it_is_made_once_and_is_for_its_owner_alone(tmp_path):
    assert ensure(tmp_path / "tls", NAMES, NOW)
    before = served(tmp_path / "tls")
    assert not ensure(tmp_path / "tls", NAMES, NOW + timedelta(days=30))
    assert served(tmp_path / "tls") == before
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        (lambda directory: (directory / SERVER).unlink(), "server"),
        (lambda directory: (directory / SERVER_KEY).write_bytes(b""), "server"),
        (lambda directory: (directory / SERVER).write_text("no certificate"), "server"),
        (lambda directory: (directory / AUTHORITY_KEY).unlink(), "authority"),
        (lambda directory: (directory / AUTHORITY).write_text("no certificate"), "authority"),
    ],
)
def test_what_is_missing_or_damaged_is_made_anew(tmp_path, change, anew):
    ensure(tmp_path, NAMES, NOW)
    before = (tmp_path / AUTHORITY).read_bytes()
    change(tmp_path)
    assert ensure(tmp_path, NAMES, NOW)
    served(tmp_path).verify_directly_issued_by(Authority.load(tmp_path).certificate)
    assert ((tmp_path / AUTHORITY).read_bytes() != before) == (anew == "authority")


def test_a_certificate_is_renewed_well_before_its_end_and_for_a_new_address(tmp_path):
    ensure(tmp_path, NAMES, NOW)
    assert not ensure(tmp_path, NAMES, NOW + timedelta(days=SERVER_DAYS - 70))
    assert ensure(tmp_path, NAMES, NOW + timedelta(days=SERVER_DAYS - 50))
    assert ensure(tmp_path, [*NAMES, "10.9.8.7"], NOW)
    assert not ensure(tmp_path, NAMES, NOW), "an address that is gone is no reason"


def test_browsers_take_the_lifetime(tmp_path):
    ensure(tmp_path, NAMES, NOW)
    found = served(tmp_path)
    assert found.not_valid_after_utc - found.not_valid_before_utc <= timedelta(days=397)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("pi.school.lan", True),
        ("www.pi.school.lan", True),
        ("school.lan", False),
        ("anything.local", True),
        ("bank.example", False),
        ("192.168.77.1", True),
        ("8.8.8.8", False),
        ("fd00::1", True),
        ("2001:db8::1", False),
    ],
)
def test_it_vouches_for_this_machine_and_private_addresses_alone(tmp_path, name, good):
    ensure(tmp_path, NAMES, NOW)
    assert Authority.load(tmp_path).may_vouch(name) == good


def test_a_public_address_of_the_machine_is_one_of_its_names(tmp_path):
    ensure(tmp_path, ["pi.local", "203.0.113.9"], NOW)
    authority = Authority.load(tmp_path)
    assert authority.may_vouch("203.0.113.9") and not authority.may_vouch("203.0.113.10")


def test_a_client_that_trusts_it_connects_by_every_name_and_takes_no_other(tmp_path):

    ensure(tmp_path, NAMES, datetime.now(UTC))
    for name in NAMES:
        joined_with(tmp_path, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        joined_with(tmp_path, "bank.example")


def test_a_certificate_outside_of_the_constraints_is_not_trusted(tmp_path):
    """Whoever steals the key of one school cannot pass for a bank before those who trust it."""

    now = datetime.now(UTC)
    ensure(tmp_path, NAMES, now)
    authority = Authority.load(tmp_path)
    authority.may_vouch = lambda name: True
    authority.issue(tmp_path, ["bank.example"], now)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        joined_with(tmp_path, "bank.example")
