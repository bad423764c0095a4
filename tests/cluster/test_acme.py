"""A public authority issues and renews, and the running server shows the new certificate: Pebble as a process, every step real."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from lanying.tls import acme
from tests.tls.pebble import Pebble, free_port

NAMES = ("chat.school.example", "im.school.example")


def shown(port: int, name: str) -> x509.Certificate:
    """The certificate that a client is shown who asks for this name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der)


def issuer(port: int) -> str:
    return shown(port, NAMES[0]).issuer.rfc4514_string()


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_certificate_is_issued_and_renewed_under_those_who_are_connected(
    tmp_path: Path, challenge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, plain = free_port(), free_port()
    (tmp_path / "pebble").mkdir()
    with Pebble(tmp_path / "pebble", http=plain, tls=port) as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.trusted))
        server = Cluster(
            tmp_path,
            shards=1,
            listen_tls=f"127.0.0.1:{port}",
            tls="acme",
            tls_names=",".join(NAMES),
            acme_directory=authority.directory_url,
            acme_challenge=challenge,
        )
        server.listen = f"127.0.0.1:{plain}"
        with server:
            until(
                "the authority's certificate is shown", lambda: "Pebble" in issuer(port), saw=server.log_file.read_text
            )
            first = shown(port, NAMES[1])
            names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert set(names.get_values_for_type(x509.DNSName)) == set(NAMES)
            directory = server.data / "tls"
            assert not [*(directory / "challenges").iterdir()], "proofs are there only while the authority looks"
            context = ssl._create_unverified_context()
            stays = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
            stays.request("GET", "/api/health")
            assert stays.getresponse().read()
            sock = stays.sock
            (directory / "acme-localhost" / "server.pem").unlink()
            asked = (str(directory), authority.directory_url, challenge, "", *NAMES)
            assert acme.main(asked) == 0, "what the server runs when a certificate is due"
            until("the new certificate is shown", lambda: shown(port, NAMES[0]) != first)
            assert "Pebble" in issuer(port)
            stays.request("GET", "/api/health")
            assert stays.getresponse().read() and stays.sock is sock
