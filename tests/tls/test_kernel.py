"""What the kernel is handed. That it can use it: ``test_terminator.py``."""

from __future__ import annotations

import socket

import pytest

from lanying.tls import kernel
from lanying.tls.kernel import Direction, Established, Kernel
from lanying.tls.keys import CIPHERS, traffic_keys


class Recorder(socket.socket):
    """Notes options; ``refuses``: of which level."""

    refuses = -1

    def setsockopt(self, level: int, option: int, value: bytes) -> None:  # type: ignore[override]
        if level == self.refuses:
            raise OSError("refused")
        self.noted = [*getattr(self, "noted", []), (level, option, value)]


@pytest.fixture
def recorder():
    with Recorder() as made:
        yield made


@pytest.mark.parametrize(("cipher", "size"), [*zip(CIPHERS, (40, 56, 56), strict=True)])
def test_structures_are_those_of_the_header(recorder, cipher, size):
    """Sizes of linux/tls.h; the number of the record is at the end, key and IV are in there as the header orders them."""
    found = Kernel(frozenset([cipher]))
    secret = bytes(range(32))
    assert found.take(recorder, Established(cipher, Direction(secret, 1), Direction(secret, 258)))
    (_, ulp, name), (_, tx, sent), (_, rx, received) = recorder.noted
    assert (ulp, name, tx, rx) == (31, b"tls", 1, 2)
    assert len(sent) == len(received) == size and sent[:-8] == received[:-8]
    assert sent[-8:] == b"\0\0\0\0\0\0\0\1" and received[-8:] == b"\0\0\0\0\0\0\1\2"
    key, iv = traffic_keys(secret, CIPHERS[cipher])
    assert sent[4:-8] in (iv[4:] + key + iv[:4], iv + key)
    found.close()


def test_a_cipher_that_it_does_not_know_is_not_for_it(recorder):
    found = Kernel(frozenset())
    assert not found.take(recorder, Established(next(iter(CIPHERS)), Direction(bytes(32), 0), Direction(bytes(32), 0)))
    assert not hasattr(recorder, "noted")
    found.close()


@pytest.mark.parametrize(("level", "raises"), [(socket.IPPROTO_TCP, False), (kernel.SOL_TLS, True)])
def test_only_keys_that_it_does_not_take_are_the_end_of_a_connection(recorder, level, raises):
    cipher = next(iter(CIPHERS))
    found, established = (
        Kernel(frozenset(CIPHERS)),
        Established(cipher, Direction(bytes(32), 0), Direction(bytes(32), 0)),
    )
    recorder.refuses = level
    if raises:
        with pytest.raises(OSError):
            found.take(recorder, established)
    else:
        assert not found.take(recorder, established)
    found.close()


def test_a_kernel_without_it_is_found_out(monkeypatch):
    monkeypatch.setattr(kernel, "ULP_NAME", b"no-such")
    assert Kernel.find() is None
