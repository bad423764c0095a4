"""Whom a client trusts, and what went wrong when it does not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from lanying.base.errors import ConfigError

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls an answer that is none of TLS."""
_WRONG_NAME: Final = (62, 64)
"""``X509_V_ERR_…`` of OpenSSL."""


def context(authority: Path | None) -> ssl.SSLContext:
    """TLS as a client speaks it.

    :param authority: PEM file of the authority that vouches for the server, the only one then; None: those the system trusts
    :raises ConfigError: the file cannot be used
    """
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{authority}: {error}; give the authority's certificate as a PEM file") from error


def wants_tls(answer: bytes) -> bool:
    """Whether somebody was asked without TLS on a port that speaks it."""
    return b"this port speaks TLS" in answer


def explain(error: BaseException, host: str) -> str:
    """An error of a connection in words, with what to do where the certificate is the reason."""
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "no TLS there: write http:// in front of the address, or give the port of listen_tls"
    if not isinstance(error, ssl.SSLCertVerificationError):
        return str(error) or type(error).__name__
    code = error.verify_code
    if code in _WRONG_NAME:
        return f"the server's certificate is not for {host}: use a name it is for, or have this one added to it (tls_names)"
    if code == _EXPIRED:
        return "the server's certificate has expired: look at this device's clock, then at the server's"
    if code == _NOT_YET:
        return "the server's certificate is not valid yet: this device's clock is behind"
    return f"the server's certificate is not trusted ({error.verify_message}): give the file of its authority"
