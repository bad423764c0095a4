"""A certificate of a public authority, asked for and renewed (ACME, RFC 8555), as a program of its own: what it needs takes 20 MB.

``<data>/tls/``::

    acme-<host>/account-key.pem    our account with the authority at this host (mode 0600)
    acme-<host>/account.json
    acme-<host>/server.pem         the certificate, with those that lead to the authority
    acme-<host>/server-key.pem     its key (mode 0600)
    challenges/<token>             what the gateway answers at /.well-known/acme-challenge/<token> (http-01)
    challenges/<name>.pem          what the tls process shows to whoever speaks acme-tls/1 (tls-alpn-01, RFC 8737)

A challenge's file is there while the authority looks and no longer.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from josepy.b64 import b64encode
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from lanying import __version__
from lanying.base.private import write_private
from lanying.config.certificates import CHALLENGES, SERVER, SERVER_KEY

HTTP: Final = "http-01"
ALPN: Final = "tls-alpn-01"
ACCOUNT: Final = "account.json"
ACCOUNT_KEY: Final = "account-key.pem"
WAIT: Final = timedelta(seconds=120)
"""For the authority to look at the challenges and to issue."""
_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


class Order:
    """What is wanted from whom.

    :param tls: directory ``<data>/tls``
    :param authority: URL of the authority's directory
    :param email: where it writes to when something is wrong; empty: nowhere
    :param challenge: ``http-01`` or ``tls-alpn-01``
    """

    def __init__(self, tls: Path, authority: str, email: str, challenge: str, names: Sequence[str]) -> None:
        self._own = tls / f"acme-{urlsplit(authority).hostname}"
        self._challenges = tls / CHALLENGES
        self._authority = authority
        self._email = email
        self._challenge = challenge
        self._names = list(names)
        self._own.mkdir(mode=0o700, exist_ok=True)
        self._challenges.mkdir(mode=0o700, exist_ok=True)

    def ensure(self, now: datetime) -> bool:
        """Get a certificate if there is none, for other names, or one that is due; whether there is a new one.

        :raises acme.errors.Error, requests.RequestException: it cannot be had
        """
        had = self._read()
        if had is not None and set(self._names) <= _names(had) and now < _middle(had):
            return False  # not even the authority is asked
        account = self._account()
        if had is not None and set(self._names) <= _names(had):
            with contextlib.suppress(errors.ARIError):
                wanted, _ = account.renewal_time((self._own / SERVER).read_bytes())
                if now < (wanted or _late(had)):
                    return False
        self._issue(account)
        return True

    def _read(self) -> x509.Certificate | None:
        try:
            found = x509.load_pem_x509_certificate((self._own / SERVER).read_bytes())
            key = load_pem_private_key((self._own / SERVER_KEY).read_bytes(), None)
        except (OSError, ValueError):
            return None
        return found if found.public_key() == key.public_key() else None

    def _account(self) -> client.ClientV2:
        key = self._account_key()
        net = client.ClientNetwork(key, alg=ES256, user_agent=f"lanying/{__version__}")
        account = client.ClientV2(client.ClientV2.get_directory(self._authority, net), net)
        file = self._own / ACCOUNT
        if file.exists():
            net.account = messages.RegistrationResource.json_loads(file.read_text())
            return account
        made = account.new_account(
            messages.NewRegistration.from_data(email=self._email or None, terms_of_service_agreed=True)
        )
        write_private(file, made.json_dumps().encode())
        return account

    def _account_key(self) -> JWKEC:
        file = self._own / ACCOUNT_KEY
        if not file.exists():
            write_private(file, _pem(ec.generate_private_key(ec.SECP256R1())))
        return JWKEC(key=load_pem_private_key(file.read_bytes(), None))

    def _issue(self, account: client.ClientV2) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        asked = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in self._names]), critical=False)
            .sign(key, SHA256())
        )
        order = account.new_order(asked.public_bytes(Encoding.PEM))
        with contextlib.ExitStack() as shown:
            for each in order.authorizations:
                if each.body.status != messages.STATUS_VALID:
                    self._prove(account, each.body, shown)
            # The library's clock has no zone.
            done = account.poll_and_finalize(order, datetime.now() + WAIT)
        # One file after the other: whoever reads in between sees a key that does not fit, and reads again later.
        write_private(self._own / SERVER_KEY, _pem(key))
        write_private(self._own / SERVER, done.fullchain_pem.encode())

    def _prove(
        self, account: client.ClientV2, authorization: messages.Authorization, shown: contextlib.ExitStack
    ) -> None:
        """Show what one challenge of a name asks for, and say so."""
        offered = {body.chall.to_partial_json().get("type", body.chall.typ): body for body in authorization.challenges}
        body = offered.get(self._challenge)
        name = str(authorization.identifier.value)
        if body is None:
            raise errors.ClientError(
                f"{name}: the authority offers {', '.join(map(str, offered))}, not {self._challenge}"
            )
        token = str(body.chall.to_partial_json()["token"])
        thumbprint = b64encode(self._account_key().thumbprint()).decode()
        proof = f"{token}.{thumbprint}"
        if self._challenge == HTTP:
            shown.enter_context(_file(self._challenges / token, proof.encode()))
        else:
            shown.enter_context(_file(self._challenges / f"{name}.pem", _alpn_certificate(name, proof)))
        account.answer_challenge(body, challenges.HTTP01Response(key_authorization=proof))


@contextlib.contextmanager
def _file(path: Path, content: bytes) -> Iterator[None]:
    write_private(path, content)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _alpn_certificate(name: str, proof: str) -> bytes:
    """RFC 8737 section 3, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    marked = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + hashlib.sha256(proof.encode()).digest())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(marked, critical=True)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM) + _pem(key)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName))


def _middle(certificate: x509.Certificate) -> datetime:
    """Half of its life: until then nobody has to be asked."""
    return certificate.not_valid_before_utc + (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 2


def _late(certificate: x509.Certificate) -> datetime:
    """Two thirds of its life, when the authority does not say itself when to renew."""
    return certificate.not_valid_after_utc - (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 3


def main(arguments: Sequence[str]) -> int:
    """``TLS-DIRECTORY AUTHORITY CHALLENGE EMAIL NAME…``; 1: the authority did not give one, the reason is on standard error."""
    tls, authority, challenge, email, *names = arguments
    try:
        Order(Path(tls), authority, email, challenge, names).ensure(datetime.now(UTC))
    except (errors.Error, requests.RequestException, messages.Error) as error:
        print(f"acme: {_explain(error)}", file=sys.stderr)
        return 1
    return 0


def _explain(error: Exception) -> str:
    if isinstance(error, errors.ValidationError):
        said = (
            f"{each.body.identifier.value}: {challenge.error.detail}"
            for each in error.failed_authzrs
            for challenge in each.body.challenges
            if challenge.error is not None
        )
        return "; ".join(said)
    return str(error) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
