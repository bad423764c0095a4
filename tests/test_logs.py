"""Log lines: the same record as text and as JSON, levels per module, followers."""

import json
import logging

import pytest

from lanying import logs


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("lanying.some").setLevel(logging.NOTSET)


def test_text_and_json_say_the_same(capsys):
    logs.setup("shard-0", "info")
    logging.getLogger("lanying.some").info("event=opened uid=%d address=%s reason=%r", 7, "192.0.2.1", "it's new")
    text = capsys.readouterr().err
    assert ' INFO shard-0 lanying.some event=opened uid=7 address=192.0.2.1 reason="it\'s new"' in text
    logs.setup("shard-0", "info", "json")
    logging.getLogger("lanying.some").info("event=opened uid=%d address=%s reason=%r", 7, "192.0.2.1", "it's new")
    found = json.loads(capsys.readouterr().err)
    assert found.pop("time") > 1e12
    assert found == {
        "event": "opened", "uid": "7", "address": "192.0.2.1", "reason": "it's new",
        "level": "info", "process": "shard-0", "module": "lanying.some",
    }  # fmt: skip


def test_json_keeps_foreign_lines_and_tracebacks(capsys):
    logs.setup("shard-0", "info", "json")
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("other").exception("something odd")
    found = json.loads(capsys.readouterr().err)
    assert found["text"] == "something odd" and "ValueError: bad" in found["traceback"]


def test_a_level_per_module(capsys):
    logs.setup("shard-0", "warning")
    logs.set_level("lanying.some", "debug")
    logging.getLogger("lanying.some.part").debug("event=one")
    logging.getLogger("lanying.other").info("event=two")
    shown = capsys.readouterr().err
    assert "event=one" in shown and "event=two" not in shown


def test_a_follower_gets_records_until_its_time_is_over():
    logs.setup("shard-0", "info")
    got = []
    logs.follow(lambda *record: got.append(record[1:]), 60)
    logging.getLogger("lanying.some").info("event=one")
    logs.follow(lambda *record: got.append(record[1:]), 0)
    logging.getLogger("lanying.some").info("event=two")
    assert got == [("info", "lanying.some", "event=one")]
