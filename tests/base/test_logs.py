"""Log lines: the same record as text and as JSON, levels per module, followers."""

import json
import logging

import pytest

from lanying.base import logs, watched
from lanying.base.clock import monotonic


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("lanying.some").setLevel(logging.NOTSET)
    watched.users.clear()


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
        "event": "opened", "uid": 7, "address": "192.0.2.1", "reason": "it's new",
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


def test_a_level_for_one_user(capsys):
    logs.setup("shard-0", "warning")
    log = logging.getLogger("lanying.some")
    watched.watch(7, "debug", 60, monotonic())
    watched.watch(8, "info", 60, monotonic())
    for uid in (7, 8, 9):
        logs.about(log, logging.INFO, uid, "event=opened uid=%d sn=%d", 1)
        logs.about(log, logging.DEBUG, uid, "event=frame uid=%d")
    watched.watch(7, "debug", 0, monotonic())
    logs.about(log, logging.INFO, 7, "event=closed uid=%d")
    shown = [line.partition(" event=")[2] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["opened uid=7 sn=1", "frame uid=7", "opened uid=8 sn=1"]
    assert watched.users.keys() == {8}


def test_json_keeps_the_process_a_record_is_about(capsys):
    logs.setup("supervisor", "info", "json")
    logging.getLogger("lanying.some").info("event=child_started process=%s", "shard-1")
    found = json.loads(capsys.readouterr().err)
    assert (found["process"], found["about_process"]) == ("supervisor", "shard-1")


def test_whole_numbers_are_numbers_in_json(capsys):
    logs.setup("shard-0", "info", "json")
    text = "event=some a=-1 b=0 name=%r version=1.5 padded=007 long=%d address=192.0.2.1"
    logging.getLogger("lanying.some").info(text, "12", 10**19)
    found = json.loads(capsys.readouterr().err)
    assert (found["a"], found["b"], found["name"]) == (-1, 0, "12"), "what is in quotes is a text"
    assert (found["version"], found["padded"], found["long"]) == ("1.5", "007", "10000000000000000000")
