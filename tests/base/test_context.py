"""The request and the time that work in hand belongs to; every log line of the work names the request."""

import json
import logging

import pytest

from lanying.base import logs
from lanying.base.context import request_id, serving, taken, until


def test_it_ends_with_the_work_even_when_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), serving("outer", 5.0):
        with serving("inner", 3.0):
            assert (request_id.get(), until.get()) == ("inner", 3.0)
        assert (request_id.get(), until.get()) == ("outer", 5.0)
        raise ZeroDivisionError
    assert (request_id.get(), until.get()) == ("", float("inf"))


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "line\nbreak", "quote'", "ü"])
def test_an_id_that_could_break_a_line_is_not_taken(given: str) -> None:
    assert taken(given, "own") == "own"


def test_an_id_of_the_client_is_taken() -> None:
    assert taken("4bf92f35-77b3:1", "own") == "4bf92f35-77b3:1"


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_names_its_request(form: str, capsys: pytest.CaptureFixture[str], own_process: None) -> None:
    logs.setup("shard-0", "info", form)
    with serving("rest-1"):
        logging.getLogger("lanying.x").info("event=done uid=%d", 5)
    logging.getLogger("lanying.x").info("event=idle")
    first, second = capsys.readouterr().err.splitlines()
    if form == "json":
        assert json.loads(first)["request"] == "rest-1"
        assert "request" not in json.loads(second)
    else:
        assert first.endswith("event=done uid=5 request=rest-1")
        assert second.endswith("event=idle")
