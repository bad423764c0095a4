"""What clients see that come over TLS: ``doctor`` comes to the port as one, and to the names as an authority does.

Python's own TLS judges, as it does for a client, asked one thing at a time: dates and names by a client that trusts this very certificate,
who vouches for it by one that trusts whom devices trust.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lanying.admin.commands.patient import Finding, Patient
from lanying.base.errors import ConfigError
from lanying.base.peers import without_port
from lanying.config.certificates import server_context
from lanying.config.schema import Config, host_and_port

TIMEOUT_S: Final = 5.0
NAMES: Final = 10
"""So many names are looked at; each takes a handshake, or :data:`TIMEOUT_S` where nobody answers."""
HTTP_PORT: Final = 80
ULPS: Final = Path("/proc/sys/net/ipv4/tcp_available_ulp")
"""What this kernel has loaded that works on top of TCP."""
DAY_S: Final = 86_400
DUE_DAYS: Final = 21
"""A certificate from files that ends sooner should have been exchanged; the server's own and public ones are renewed before that."""
DUE_SHARE: Final = 6
"""A public one is renewed when a third of its life is left: with a sixth left that has failed for long."""
_NOT_YET, _ENDED = 9, 10
_WRONG_NAME: Final = (62, 64)
"""``X509_V_ERR_…`` of OpenSSL."""
LOG: Final = "the log says why: lanying-admin log tail"


def certificate(patient: Patient) -> Iterable[Finding]:
    """Names, dates, key and chain of what is shown; whether a public authority finds this server."""
    config = patient.config
    if not config.listen_tls:
        return
    try:
        door = _Door(_own_address(config.listen_tls))
    except OSError as error:  # ssl.SSLError is one
        yield Finding("TLS", "bad", f"no handshake at {config.listen_tls}: {error}", LOG)
        return
    found = [*_files(config, door), *_dates(config, door), *_chain(patient, door), *_names(config, patient, door)]
    if config.tls_source == "acme":
        found += _proof(patient)
    yield from found
    if not found:
        yield Finding(
            "TLS", "ok", f"{config.tls_source}, good until {_day(door.ends(door.alone()))}; {_encrypts(config)}"
        )


def _encrypts(config: Config) -> str:
    if not config.tls_kernel:
        return "the server encrypts"
    with contextlib.suppress(OSError):
        if "tls" in ULPS.read_text().split():
            return "the kernel encrypts"
    return "the server encrypts, as this kernel has no TLS (sudo modprobe tls, then restart)"


class _Door:
    """The port as its clients see it.

    :ivar der: the certificate that is shown
    :raises OSError: nobody speaks TLS there
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        anybody = ssl.create_default_context()
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        with self._joined(anybody, "") as tls:
            self.der = tls.getpeercert(binary_form=True) or b""

    def alone(self) -> ssl.SSLContext:
        """A client that trusts this certificate whoever has made it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=self.der)
        return context

    def refused(self, context: ssl.SSLContext, name: str = "") -> ssl.SSLCertVerificationError | None:
        """Why such a client does not go on; with a name it looks at that too. None: it does."""
        context.check_hostname = bool(name)
        try:
            with self._joined(context, name):
                return None
        except ssl.SSLCertVerificationError as error:
            return error

    def ends(self, context: ssl.SSLContext) -> tuple[float, float]:
        """When the certificate begins and ends to be good (seconds since 1970). The client goes on with it."""
        with self._joined(context, "") as tls:
            shown = tls.getpeercert() or {}
        begins, ends = (ssl.cert_time_to_seconds(str(shown[key])) for key in ("notBefore", "notAfter"))
        return begins, ends

    @contextlib.contextmanager
    def _joined(self, context: ssl.SSLContext, name: str) -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(self._address, TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=name or None) as tls,
        ):
            yield tls


def _files(config: Config, door: _Door) -> Iterable[Finding]:
    """Are the configured files good, and are they what is shown?"""
    if config.tls_source != "files":
        return
    try:
        server_context(Path(config.tls_certificate), Path(config.tls_key))
        first = _first(Path(config.tls_certificate).read_text("latin-1"))
    except (ConfigError, OSError, ValueError) as error:
        yield Finding("TLS files", "bad", f"the old certificate is still shown: {error}", "put good files there")
        return
    if first != door.der:
        yield Finding(
            "TLS files", "warn", f"{config.tls_certificate} is not what is shown yet", f"wait 10 s; then {LOG}"
        )


def _first(pem: str) -> bytes:
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE-----") :].partition(end)[0] + end)


def _dates(config: Config, door: _Door) -> Iterable[Finding]:
    error = door.refused(door.alone())
    if error is not None and error.verify_code == _ENDED:
        remedy = "put a new one there" if config.tls_source == "files" else LOG
        yield Finding("TLS dates", "bad", "the certificate has ended, or this machine's clock is ahead", remedy)
    elif error is not None and error.verify_code == _NOT_YET:
        yield Finding(
            "TLS dates",
            "bad",
            "the certificate is not good yet: this machine's clock is behind, or was ahead when it was made",
            "set the clock: sudo timedatectl set-ntp true",
        )
    elif error is not None:
        yield Finding("TLS dates", "bad", f"clients refuse the certificate: {error.verify_message}", LOG)
    else:
        begins, ends = door.ends(door.alone())
        due = (ends - begins) / DUE_SHARE if config.tls_source == "acme" else DUE_DAYS * DAY_S
        if ends - time.time() < due:
            text = f"the certificate ends on {_day((begins, ends))}"
            remedy = "put a new one there" if config.tls_source == "files" else f"it should have been renewed: {LOG}"
            yield Finding("TLS dates", "warn", text, remedy)


def _chain(patient: Patient, door: _Door) -> Iterable[Finding]:
    """Does who trusts the authority that it should be from trust it?"""
    source = patient.config.tls_source
    if source == "local":
        context = ssl.create_default_context(cafile=patient.files.authority)
        remedy = "lanying-cluster restart tls; devices then look at /trust again"
    else:
        context = ssl.create_default_context()
        remedy = (
            "put those that lead to its authority behind it in tls_certificate; devices do not trust an authority of your own before "
            "you give it to them"
            if source == "files"
            else f"no public certificate yet: {LOG}"
        )
    error = door.refused(context)
    if error is not None and error.verify_code not in (_NOT_YET, _ENDED):
        yield Finding("TLS chain", "bad" if source == "local" else "warn", error.verify_message, remedy)


def _names(config: Config, patient: Patient, door: _Door) -> Iterable[Finding]:
    """Is it for the names that clients come by?"""
    wanted, context = _wanted(config, patient), door.alone()
    for name in wanted[:NAMES]:
        error = door.refused(context, name)
        if error is not None and error.verify_code in _WRONG_NAME:
            remedy = {
                "local": f'tls_names = ["{name}"]; if it is outside its authority\'s names (docs/tls.md), devices have to trust a new one',
                "acme": f'add it to tls_names: tls_names = ["{name}", …]',
                "files": "have a certificate made for it, or set tls_names, discovery.rest_url and rest.hosts to names that it is for",
            }[config.tls_source]
            yield Finding("TLS names", "warn", f"the certificate is not for {name}, by which clients come", remedy)
    for app_id in (config.app_id, *config.apps):
        said = config.discovery_of(app_id)
        for key in ("rest_url", "message_url"):
            url = getattr(said, key)
            if url.startswith(("http://", "ws://")):
                text = f"discovery.{key} = {url} is not encrypted: browsers that came over https refuse it"
                yield Finding("TLS names", "warn", text, "write https:// and wss://, or leave it out")


def _wanted(config: Config, patient: Patient) -> list[str]:
    """Names by which this server sends its clients to itself: printed ones, configured ones, those of discovery."""
    found = [*config.tls_names, *map(without_port, config.rest.hosts)]
    printed = urlsplit(patient.status.tls_url).hostname
    if printed and not config.tls_names:
        found.append(printed)
    if not config.listen_proxies:  # else discovery may name a proxy, with a certificate of its own
        for app_id in (config.app_id, *config.apps):
            said = config.discovery_of(app_id)
            urls = [url for url in (said.rest_url, said.message_url) if url.startswith(("https://", "wss://"))]
            found += [host for url in urls if (host := urlsplit(url).hostname)]
    return [*dict.fromkeys(name.strip("[]") for name in found)]


def _proof(patient: Patient) -> Iterable[Finding]:
    """Does a public authority find this server? Asked from here: a router may lead nobody inside back in."""
    config = patient.config
    if config.challenge != "http-01":
        for name in config.tls_names[:NAMES]:
            try:
                socket.create_connection((name, 443), TIMEOUT_S).close()
            except OSError as error:
                yield Finding("ACME", "warn", f"{name}, port 443: {error}", _FORWARD.format(name=name, port=443))
        return
    token = f"doctor-{secrets.token_hex(8)}"
    with patient.files.proof(token) as content:
        for name in config.tls_names[:NAMES]:
            if wrong := _fetched(name, token, content):
                yield Finding("ACME", "warn", f"{name}, port {HTTP_PORT}: {wrong}", _FORWARD.format(name=name, port=80))


_FORWARD: Final = (
    "have {name} lead to this server, and port {port} come to it, from the internet; where only machines inside cannot come by that name, "
    "ignore this"
)


def _fetched(name: str, token: str, content: str) -> str:
    """What is wrong with the way that an authority takes to the proof; empty: nothing."""
    connection = http.client.HTTPConnection(name, HTTP_PORT, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"/.well-known/acme-challenge/{token}")
        answer = connection.getresponse()
        if answer.status == 200 and answer.read(1024) == content.encode():
            return ""
        return f"somebody else answers ({answer.status})"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def _own_address(listen: str) -> tuple[str, int]:
    """Where this machine reaches its own port."""
    host, port = host_and_port(listen)
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host), port


def _day(dates: tuple[float, float]) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(dates[1]))
