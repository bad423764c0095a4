"""Keys, certificates and notifiers made up for tests."""

import datetime
import functools
import ipaddress
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from lanying.config.notifiers import PROVIDERS, Notifier, Secret
from lanying.push.decision import Push
from lanying.push.vendors import PushTarget

NOW = 1_700_000_000.0
PUSH = Push("Alice", "Hello, Bob! 你好", 3)
APNS_TOKEN = "0a" * 32
TOKEN = "CN_8fa0618f178145d8c2a44091a1326411"
"""Of any vendor but Apple."""


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@functools.cache
def p256():
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def certificate():
    """A self-signed certificate for 127.0.0.1, with its key, in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(p256().public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(p256(), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode() + pem_of(p256())


def account(**changes):
    """A service account of Google."""
    fields = {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "k1",
        "private_key": pem_of(rsa_key()),
        "client_email": "push@my-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not None})


def secret_of(provider):
    return {
        "apns": Secret("KEYID12345", "TEAMID1234", pem_of(p256())),
        "fcm": Secret(certificate=account()),
    }.get(provider, Secret("key", "secret", ""))


def notifier_of(provider, app_id="", environment=1, **options):
    app_id = app_id or ("com.example.app" if provider == "apns" else "1234567")
    return Notifier("app", provider, PROVIDERS[provider], environment, app_id, "sealed", **options)


def target_of(provider, token, secret=None, **fields):
    return PushTarget(notifier_of(provider, **fields), secret or secret_of(provider), token)
