"""One TLS connection over memory: the handshake in pieces, data both ways, every kind of end."""

import ssl
from collections.abc import Iterator

import pytest
from cryptography.exceptions import InvalidTag

from lanying.tls.keys import KeyLog
from lanying.tls.tunnel import Tunnel
from tests.tls.ends import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, KEY_UPDATE, ClientEnd, Sealer, joined, shown, trusting


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_the_pieces_do_not_matter(piece_bytes):
    client, server = joined(piece_bytes)
    data = client.write(b"hello")
    got = b"".join(server.receive(data[at : at + piece_bytes]) for at in range(0, len(data), piece_bytes))
    assert got == b"hello"
    server.send(b"x" * 100_000)
    assert client.read(server.pending()) == b"x" * 100_000
    assert server.version == "TLSv1.3"


def test_data_behind_the_last_flight_of_the_handshake_is_there_at_once():
    client, server = ClientEnd(), Tunnel(shown())
    assert server.receive(client.step()) == b""
    last = client.step(server.pending())
    assert server.receive(last + client.write(b"early")) == b"early"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_1_2_is_spoken_and_older_is_not():
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert joined(trusted=context)[1].version == "TLSv1.2"
    old = trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        Tunnel(shown()).receive(ClientEnd(context=old).step())


def test_the_client_ends_and_the_answer_still_goes_out():
    client, server = joined()
    assert server.receive(client.write(b"last") + client.end()) == b"last"
    assert server.ended
    server.send(b"answer")
    server.end()
    assert client.read(server.pending()) == b"answer"


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x04\x09\x00\x00\x00", b"\x16\x03\x01\xff\xff" + b"a" * 70_000],
)
def test_what_is_no_tls_is_an_error_with_an_alert_or_none(data):
    server = Tunnel(shown())
    with pytest.raises(ssl.SSLError):
        server.receive(data)
    assert len(server.pending()) < 100


def test_a_changed_byte_is_an_error():
    client, server = joined()
    data = bytearray(client.write(b"hello"))
    data[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        server.receive(bytes(data))


# --- for the kernel ------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[KeyLog]:
    made = KeyLog()
    yield made
    made.close()


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_the_kernel_could_go_on_in_both_directions(log, piece_bytes):
    client, server = joined(piece_bytes, log=log)
    established = server.established
    assert established is not None and server.missing == 0
    assert Sealer(established.cipher, established.received).open(client.write(b"question")) == (b"question", DATA)
    assert client.read(Sealer(established.cipher, established.sent).seal(b"answer")) == b"answer"


def test_the_kernel_could_go_on_behind_records_that_were_read_already(log):
    """One piece has the end of the handshake, two records, and half of another; the rest comes byte by byte."""
    client, server = ClientEnd(), Tunnel(shown(), log)
    server.receive(client.step())
    last = client.step(server.pending())
    more = client.write(b"one") + client.write(b"two") + client.write(b"three")
    data = last + more
    plain = server.receive(data[:-9])
    assert server.open and plain == b"onetwo" and server.missing == 9 and server.established is None
    for at in range(len(data) - 9, len(data)):
        plain += server.receive(data[at : at + 1])
    client.read(server.pending())
    established = server.established
    assert plain == b"onetwothree" and established is not None and established.received.records == 3
    assert Sealer(established.cipher, established.received).open(client.write(b"four")) == (b"four", DATA)
    with pytest.raises(InvalidTag):
        Sealer(established.cipher, established.received).open(client.write(b"five"))


def test_a_resumed_connection_has_keys_of_its_own(log):
    context, trusted = shown(), trusting()
    first, _ = joined(trusted=trusted, context=context, log=log)
    client, server = ClientEnd(context=trusted, session=first.tls.session), Tunnel(context, log)
    data = client.step()
    while data:
        server.receive(data)
        data = client.step(server.pending())
    assert client.tls.session_reused
    established = server.established
    assert established is not None
    assert Sealer(established.cipher, established.received).open(client.write(b"question")) == (b"question", DATA)
    assert client.read(Sealer(established.cipher, established.sent).seal(b"answer")) == b"answer"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_1_2_is_not_for_the_kernel(log):
    old = trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert joined(trusted=old, log=log)[1].established is None


@pytest.mark.parametrize(("content", "kind"), [(CLOSE_NOTIFY, ALERT), (KEY_UPDATE, HANDSHAKE)])
def test_who_sent_something_else_than_data_is_not_for_the_kernel(log, content, kind):
    """New keys are not in the log, and an end that is read here is not seen by anybody else."""
    _, server = joined(log=log)
    established = server.established
    assert established is not None
    sealer = Sealer(established.cipher, established.received)
    assert server.receive(sealer.seal(b"data") + sealer.seal(content, kind)) == b"data"
    assert server.established is None


def test_a_handshake_that_fails_leaves_no_secrets_to_the_next(log):
    client, server = ClientEnd(), Tunnel(shown(), log)
    server.receive(client.step())
    with pytest.raises(ssl.SSLError):
        server.receive(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert log.take() == {}
