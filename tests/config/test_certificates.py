"""Certificate files: read again when they change, and every way they can be wrong has a remedy."""

import os
import shutil

import pytest

from lanying.base.errors import ConfigError
from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY, Certificates, server_context
from lanying.tls import authority
from tests.tls.ends import NOW, made


def test_a_new_certificate_is_shown_and_a_bad_one_is_not(tmp_path):
    for name in (SERVER, SERVER_KEY):
        shutil.copy(made() / name, tmp_path / name)
    certificates = Certificates((tmp_path / SERVER, tmp_path / SERVER_KEY))
    certificates.read()
    first = certificates.context()
    assert not certificates.look() and certificates.context() is first
    (tmp_path / SERVER).write_text("half of a fi")
    assert not certificates.look() and certificates.context() is first
    authority.ensure(tmp_path / "other", ["localhost"], NOW)
    for name in (SERVER_KEY, SERVER):
        os.replace(tmp_path / "other" / name, tmp_path / name)
    assert certificates.look() and certificates.context() is not first


@pytest.mark.parametrize(
    ("chain", "key", "text"),
    [
        ("nowhere.pem", SERVER_KEY, "nowhere.pem: No such file"),
        (SERVER, "nowhere.pem", "nowhere.pem: No such file"),
        (AUTHORITY, SERVER_KEY, "the key is not the certificate's"),
        (SERVER_KEY, SERVER_KEY, "give PEM files"),
        (SERVER, SERVER, "give PEM files"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(chain, key, text):
    with pytest.raises(ConfigError, match=text.replace(".", r"\.")):
        server_context(made() / chain, made() / key)


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key((made() / SERVER_KEY).read_bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(sealed)
    with pytest.raises(ConfigError, match="not encrypted"):
        server_context(made() / SERVER, tmp_path / "key.pem")
