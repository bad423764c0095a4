"""Bodies of requests: bounded in size, time and together, and what was counted is given back whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.services.bodies import BUSY, Bodies


class Upload:
    """A request whose pieces come when they do."""

    def __init__(self, *pieces: bytes, length: str = "", fails: bool = False, stalls: bool = False) -> None:
        self.headers = {"content-length": length} if length else {}
        self.pieces, self.fails, self.stalls = pieces, fails, stalls
        self.read = 0

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.read += 1
            yield piece
        if self.fails:
            raise ConnectionResetError
        if self.stalls:
            await asyncio.sleep(60)


def read(bodies: Bodies, upload: Upload, peer: str = "peer", most: int = 10) -> bytes:
    request: Any = upload
    return asyncio.run(bodies.read(request, peer, most))


def refusal(bodies: Bodies, upload: Upload, peer: str = "peer", most: int = 10) -> Refusal:
    with pytest.raises(CallError) as error:
        read(bodies, upload, peer, most)
    return error.value.refusal


def test_a_body_is_whole_and_counted_until_it_is_worked_on() -> None:
    bodies = Bodies(100, 50)
    assert read(bodies, Upload(b"ab", b"", b"cd")) == b"abcd"
    assert bodies.held == 4
    bodies.release("peer", 4)
    bodies.release("peer", 0)
    assert bodies.held == 0 and not bodies._of
    assert read(bodies, Upload()) == b"" and bodies.held == 0


def test_one_that_says_it_is_too_long_is_not_read() -> None:
    bodies, upload = Bodies(100, 50), Upload(b"x", length="11")
    assert refusal(bodies, upload) is Refusal.BODY_TOO_LARGE and upload.read == 0
    for length in ("10", "-5", "x", "", "٣"):
        assert read(bodies, Upload(b"x", length=length)) == b"x"


def test_one_that_says_nothing_is_read_up_to_its_limit() -> None:
    bodies, upload = Bodies(100, 50), Upload(b"x" * 6, b"x" * 5, b"x")
    assert refusal(bodies, upload) is Refusal.BODY_TOO_LARGE
    assert upload.read == 2 and bodies.held == 0
    assert len(read(bodies, Upload(b"x" * 6, b"x" * 4))) == 10


def test_one_that_does_not_come_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REST_BODY_TIMEOUT_S", 0.001)
    bodies = Bodies(100, 50)
    assert refusal(bodies, Upload(b"x", stalls=True)) is Refusal.BODY_TOO_SLOW
    assert bodies.held == 0 and not bodies._of


def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    bodies = Bodies(100, 50)
    with pytest.raises(ConnectionResetError):
        read(bodies, Upload(b"xyz", fails=True))
    assert bodies.held == 0 and not bodies._of


@pytest.mark.parametrize(("total", "each", "fits"), [(8, 5, 5), (8, 8, 8), (20, 9, 9), (3, 9, 3)])
def test_a_peer_and_all_peers_have_a_budget(total: int, each: int, fits: int) -> None:
    bodies = Bodies(total, each)
    assert refusal(bodies, Upload(b"x" * (fits + 1)), most=99) is Refusal.UNAVAILABLE
    assert len(read(bodies, Upload(b"x" * fits), most=99)) == fits
    with pytest.raises(CallError, match=BUSY):
        read(bodies, Upload(b"x"), most=99)
    room = total - fits
    assert refusal(bodies, Upload(b"x" * (room + 1)), "another", most=99) is Refusal.UNAVAILABLE
    assert len(read(bodies, Upload(b"x" * min(room, each)), "another", most=99)) == min(room, each)
    bodies.release("peer", fits)
    assert len(read(bodies, Upload(b"x" * fits), most=99)) == fits
