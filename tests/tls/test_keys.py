"""Keys against the traces of RFC 8448, and what a handshake logs."""

from __future__ import annotations

import pytest

from lanying.tls.keys import CIPHERS, CLIENT, SERVER, KeyLog, traffic_keys
from tests.tls.ends import joined, shown

# RFC 8448 section 3, "Simple 1-RTT Handshake": {server} and {client} derive write traffic keys for application data.
TRACE = {
    "server": (
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
        "9f02283b6c9c07efc26bb9f2ac92e356",
        "cf782b88dd83549aadf1e984",
    ),
    "client": (
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        "17422dda596ed5d9acd890e3c63f5051",
        "5b78923dee08579033e523d9",
    ),
}


@pytest.mark.parametrize("end", TRACE)
def test_keys_are_those_of_the_trace(end):
    secret, key, iv = map(bytes.fromhex, TRACE[end])
    assert traffic_keys(secret, CIPHERS["TLS_AES_128_GCM_SHA256"]) == (key, iv)


@pytest.mark.parametrize("cipher", CIPHERS.values())
def test_keys_have_the_length_that_the_cipher_wants(cipher):
    key, iv = traffic_keys(bytes(48), cipher)
    assert len(key) == cipher.key_bytes and len(iv) == 12


def test_a_handshake_logs_both_secrets_and_they_are_taken_once():
    log, context = KeyLog(), shown()
    log.follow(context)
    assert log.take() == {}
    joined(context=context)
    taken = log.take()
    assert {CLIENT, SERVER} <= set(taken) and len(taken[CLIENT]) == len(taken[SERVER]) == 48
    assert log.take() == {}
    log.close()


def test_many_handshakes_do_not_fill_the_log():
    """A full pipe would stop the process for ever."""
    log, context = KeyLog(), shown()
    for _ in range(150):
        joined(context=context, log=log)
    assert log.take() == {}
    log.close()
