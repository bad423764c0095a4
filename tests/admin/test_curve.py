"""CURVE keys: registered ones get in, others are logged once a minute, an unreadable ring lets nobody in."""

import logging

import pytest

from lanying.admin import curve
from lanying.admin.curve import CurveKeys, registered
from lanying.admin.keys import ConsoleKey, Ring, new_pair
from lanying.base.errors import ConfigError

RING = Ring(new_pair(), (ConsoleKey("night", "N" * 40, "operate"), ConsoleKey("odd", "O" * 40, "king")))


def unreadable() -> Ring:
    raise ConfigError("admin-keys.json: damaged")


def test_a_registered_key_with_a_role_there_is_gets_in(caplog: pytest.LogCaptureFixture) -> None:
    keys = CurveKeys(lambda: RING)
    assert keys.callback("", b"N" * 40) and not keys.callback("", b"O" * 40)
    assert "has the role 'king', which there is not" in caplog.text
    assert keys.forget_others({"O" * 40}) == {"N" * 40} and keys.forget_others(set()) == set()


def test_nobody_gets_in_while_the_ring_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    assert registered(unreadable, "N" * 40) is None and not CurveKeys(unreadable).callback("", b"N" * 40)
    assert "event=keys_unreadable" in caplog.text


def test_an_unknown_key_that_tries_again_is_logged_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = [1000.0, 1000.1, 1000.0 + curve.REFUSED_S - 1, 1000.0 + curve.REFUSED_S]
    monkeypatch.setattr(curve, "monotonic", lambda: times.pop(0))
    keys = CurveKeys(lambda: RING)
    keys.address = "192.0.2.1"
    with caplog.at_level(logging.WARNING):
        while times:
            assert not keys.callback("", b"X" * 40)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2 and all("address=192.0.2.1" in line for line in lines)
