"""How devices come to trust the server's own authority, and how pages lead from http to https."""

from __future__ import annotations

import plistlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser

import pytest
from cryptography import x509

from lanying.config.certificates import AUTHORITY, DIRECTORY, fingerprint
from lanying.tls.authority import ensure
from tests.gateway.conftest import Gateway

LOCAL = {"listen_tls": "0.0.0.0:8443"}
FILES = LOCAL | {"tls_certificate": "chain.pem", "tls_key": "key.pem"}
STRANGER = "203.0.113.9"


@pytest.fixture
def local(make: Callable[..., Gateway]) -> Gateway:
    gateway = make(app_name='<School & "Co">', **LOCAL)
    ensure(gateway.data_directory / DIRECTORY, ["pi.local", "192.168.1.5"], datetime.now(UTC))
    return gateway


def der(gateway: Gateway) -> bytes:
    return ssl.PEM_cert_to_DER_cert((gateway.data_directory / DIRECTORY / AUTHORITY).read_text())


def test_every_file_for_a_device_has_the_authority_and_never_its_key(local: Gateway) -> None:
    profile = local.send("GET", "/trust/lanying.mobileconfig")
    assert profile.headers["content-type"] == "application/x-apple-aspen-config"
    (payload,) = plistlib.loads(profile.content)["PayloadContent"]
    assert payload["PayloadType"] == "com.apple.security.root"
    certificate = local.send("GET", "/trust/lanying.crt")
    assert certificate.headers["content-type"] == "application/x-x509-ca-cert"
    pem = local.send("GET", "/trust/lanying.pem").content
    for found in (payload["PayloadContent"], certificate.content, ssl.PEM_cert_to_DER_cert(pem.decode())):
        assert found == der(local)
        assert x509.load_der_x509_certificate(found)
    assert b"PRIVATE" not in profile.content + certificate.content + pem
    again = plistlib.loads(local.send("GET", "/trust/lanying.mobileconfig").content)
    assert again["PayloadContent"][0]["PayloadUUID"] == payload["PayloadUUID"], "installed again it replaces itself"


def test_the_page_shows_the_fingerprint_and_leads_on_in_both_languages(local: Gateway) -> None:
    page = local.send("GET", "/trust", headers={"host": "192.168.1.5:8443"}, address=STRANGER).text
    assert page.count(fingerprint(der(local))) == 2
    assert page.count('href="https://192.168.1.5:8443/"') == 2
    assert page.count("<svg") == 2
    assert '<School & "Co">' in unescape(page) and "<School" not in page
    linked: set[str] = set()

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            linked.update(value or "" for name, value in attrs if name == "href")

    Links().feed(page)
    for path in linked - {"https://192.168.1.5:8443/"}:
        assert local.send("GET", path).status_code == 200, path


def test_without_an_authority_of_its_own_there_is_no_such_page(make: Callable[..., Gateway]) -> None:
    for config in ({}, FILES):
        assert make(**config).send("GET", "/trust").status_code == 404


@pytest.mark.parametrize("path", ["/", "/admin"])
@pytest.mark.parametrize(
    ("config", "host", "where"),
    [
        (LOCAL, "192.168.1.5:8480", "/trust"),
        (FILES, "chat.example:8480", "https://chat.example:8443{path}"),
        (FILES, "[fd00::1]:8480", "https://[fd00::1]:8443{path}"),
        (FILES, "evil host", "https://127.0.0.1:8443{path}"),
        ({}, "chat.example:8480", None),
    ],
)
def test_pages_asked_for_without_tls_lead_to_it(
    make: Callable[..., Gateway], path: str, config: dict[str, str], host: str, where: str | None
) -> None:
    answer = make(**config).send("GET", path, headers={"host": host}, address=STRANGER)
    assert answer.headers.get("location") == (where and where.format(path=path))
    assert answer.status_code == (200 if where is None else 307 if where == "/trust" else 308)


def test_this_machine_a_proxy_and_what_apps_ask_for_stay(make: Callable[..., Gateway]) -> None:
    gateway = make(listen_proxies=("10.0.0.1/32",), **FILES)
    assert gateway.send("GET", "/").status_code == 200
    said = {"x-forwarded-for": STRANGER, "x-forwarded-proto": "https"}
    assert gateway.send("GET", "/", headers=said, address="10.0.0.1").status_code == 200
    assert gateway.send("GET", "/api/health", address=STRANGER).status_code == 200


@pytest.mark.parametrize(("config", "strict"), [({}, True), (FILES, True), (LOCAL, False)])
def test_browsers_are_bound_to_tls_only_where_they_trust_it(
    make: Callable[..., Gateway], config: dict[str, str], strict: bool
) -> None:
    gateway = make(listen_proxies=("10.0.0.1/32",), **config)
    answer = gateway.send("GET", "/api/health", headers={"x-forwarded-proto": "https"}, address="10.0.0.1")
    assert ("strict-transport-security" in answer.headers) == strict
