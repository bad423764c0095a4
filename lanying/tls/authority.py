"""The server's own certificate authority, for networks where no public one reaches it. Run as a program of its own, once in months:
the library it needs takes 10 MB that no process keeps.

``<data>/tls/``::

    authority.pem       the authority, which people's devices trust
    authority-key.pem   its key (mode 0600): whoever has it can pass for every name below
    server.pem          the server's certificate, then the authority's
    server-key.pem      its key (mode 0600)

The authority may vouch for names of this machine and for private addresses alone (RFC 5280 section 4.2.1.10): trusting it does not mean
trusting this server with a bank's name. Single addresses would not do: the next DHCP lease is another one.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lanying.base.private import write_private
from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY

AUTHORITY_KEY: Final = "authority-key.pem"
AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 397
"""Browsers and phones refuse longer ones (Apple: 825 days, for authorities that people add; 398 for public ones)."""
RENEWED_DAYS: Final = 60
"""So long before its end a certificate is made anew."""
SKEW: Final = timedelta(days=1)
"""A device's clock may be behind."""
PRIVATE: Final = (
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
"""Networks whose addresses the authority may vouch for (RFC 1918, 3927, 4193, 4291), besides those the machine has when it is made."""


Name = x509.DNSName | x509.IPAddress


def named(text: str) -> Name:
    """A host name or an address as it stands in a certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """A certificate and the key that signs with it."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def make(cls, names: Sequence[str], now: datetime) -> Authority:
        """A new one for a machine with these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        first = next((name for name in names if isinstance(named(name), x509.DNSName)), "localhost")
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "lanying"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"lanying on {first}"[:64]),
            ]
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints(_permitted(names), None), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """:raises OSError, ValueError: it is not there, or damaged"""
        key = load_pem_private_key((directory / AUTHORITY_KEY).read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the authority's key is of another kind")
        return cls(x509.load_pem_x509_certificate((directory / AUTHORITY).read_bytes()), key)

    def save(self, directory: Path) -> None:
        """The key first: an authority without one can do nothing."""
        write_private(directory / AUTHORITY_KEY, _key_pem(self._key))
        write_private(directory / AUTHORITY, self.certificate.public_bytes(Encoding.PEM))

    def may_vouch(self, name: str) -> bool:
        """Whether a name is among those that it was made for."""
        permitted = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        wanted = named(name)
        return any(_covers(tree, wanted) for tree in permitted or ())

    def issue(self, directory: Path, names: Sequence[str], now: datetime) -> None:
        """A server's certificate for those of the names that it may vouch for."""
        key = ec.generate_private_key(ec.SECP256R1())
        good = [named(name) for name in names if self.may_vouch(name)]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=SERVER_DAYS) - SKEW)
            .add_extension(x509.SubjectAlternativeName(good), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
            .sign(self._key, SHA256())
        )
        chain = certificate.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
        # One file after the other: whoever reads in between sees a key that does not fit, and reads again later.
        write_private(directory / SERVER_KEY, _key_pem(key))
        write_private(directory / SERVER, chain)


def _covers(tree: x509.GeneralName, name: Name) -> bool:
    """Whether a permitted subtree has this name in it."""
    if isinstance(name, x509.IPAddress):
        network = tree.value
        return isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network) and name.value in network
    return isinstance(tree, x509.DNSName) and f".{name.value}".endswith(f".{tree.value}")


def ensure(directory: Path, names: Sequence[str], now: datetime) -> bool:
    """Make what is missing, damaged, about to end, or made for other names; whether there is a new certificate."""
    directory.mkdir(mode=0o700, exist_ok=True)
    try:
        authority = Authority.load(directory)
        if authority.certificate.not_valid_after_utc < now + timedelta(days=RENEWED_DAYS + SERVER_DAYS):
            raise ValueError("it ends soon")
    except (OSError, ValueError):
        authority = Authority.make(names, now)
        authority.save(directory)
    if not _is_due(directory, authority, names, now):
        return False
    authority.issue(directory, names, now)
    return True


def _is_due(directory: Path, authority: Authority, names: Sequence[str], now: datetime) -> bool:
    try:
        served = x509.load_pem_x509_certificate((directory / SERVER).read_bytes())
        key = load_pem_private_key((directory / SERVER_KEY).read_bytes(), None)
        served.verify_directly_issued_by(authority.certificate)
        has = set(served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is made
        return True
    wanted = {named(name) for name in names if authority.may_vouch(name)}
    return (
        served.public_key() != key.public_key()
        or not wanted <= has
        or served.not_valid_after_utc < now + timedelta(days=RENEWED_DAYS)
    )


def _permitted(names: Sequence[str]) -> list[x509.GeneralName]:
    domains = {"local", "localhost"}
    networks = [ipaddress.ip_network(network) for network in PRIVATE]
    for name in names:
        own = named(name)
        if isinstance(own, x509.DNSName):
            domains.add(own.value)
        elif not any(own.value in network for network in networks):
            networks.append(ipaddress.ip_network(name))
    return [*map(x509.DNSName, sorted(domains)), *map(x509.IPAddress, networks)]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def main(arguments: Sequence[str]) -> int:
    """``DIRECTORY NAME…``"""
    ensure(Path(arguments[0]), arguments[1:], datetime.now(UTC))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
