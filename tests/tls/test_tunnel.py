"""One TLS connection over memory: the handshake in pieces, data both ways, every kind of end."""

import ssl

import pytest

from lanying.tls.tunnel import Tunnel
from tests.tls.ends import ClientEnd, shown, trusting


def joined(piece_bytes: int = 1 << 20, context: ssl.SSLContext | None = None) -> tuple[ClientEnd, Tunnel]:
    """Both ends behind the handshake; bytes to the server in pieces."""
    client, server = ClientEnd(context=context), Tunnel(shown())
    data = client.step()
    for _ in range(5):
        for at in range(0, len(data), piece_bytes):
            assert server.receive(data[at : at + piece_bytes]) == b""
        data = client.step(server.pending())
        if server.open and not data:
            break
    assert server.open
    return client, server


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
    assert joined(context=context)[1].version == "TLSv1.2"
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
