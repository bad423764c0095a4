"""Log lines: the same record as text and as JSON, levels per module, followers."""

import json
import logging

import pytest

from lanying.base import logs, watched
from lanying.base.clock import monotonic
from lanying.base.context import request_id


@pytest.fixture(autouse=True)
def restored(own_process):
    yield
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


@pytest.mark.parametrize(
    "value", ["two words", "x' y=1", "both ' and \"", "event=forged uid=1", "back\\slash", "", "12", "100 %s"]
)
@pytest.mark.parametrize("form", ["%s", "%r", "'%s'"])
def test_a_text_is_its_field_in_json_whatever_is_in_it(capsys, form, value):
    logs.setup("shard-0", "info", "json")
    logging.getLogger("lanying.some").info(f"event=some before=%d value={form} after=%s", 1, value, "z")
    found = json.loads(capsys.readouterr().err)
    assert found.items() >= {"event": "some", "before": 1, "value": value, "after": "z"}.items()
    assert found.keys() == {"event", "before", "value", "after", "time", "level", "process", "module"}


def test_a_field_of_several_values_is_one_text_in_json(capsys):
    logs.setup("shard-0", "info", "json")
    text = "event=some error='%s has the role %r, which there is not' ratio=%.1f share='5 %%' numbers=%r last=%d"
    logging.getLogger("lanying.some").info(text, "night", "king", 0.25, [1, 2], 7)
    found = json.loads(capsys.readouterr().err)
    assert found["error"] == "night has the role 'king', which there is not"
    assert (found["ratio"], found["share"], found["numbers"], found["last"]) == ("0.2", "5 %", "[1, 2]", 7)


@pytest.mark.parametrize(("template", "values"), [("%(a)s", ({"a": "x=1"},)), ("x=%d", (1,)), (KeyError("x=1"), ())])
def test_a_line_of_a_library_is_one_text_in_json(capsys, template, values):
    logs.setup("shard-0", "info", "json")
    logging.getLogger("other").warning(template, *values)
    found = json.loads(capsys.readouterr().err)
    assert found["event"] == "text" and "=1" in found["text"] and found.keys() & {"x", "a"} == set()


def test_the_request_of_a_line_is_a_text_in_json(capsys):
    logs.setup("gateway", "info", "json")
    token = request_id.set("17")
    try:
        logging.getLogger("lanying.some").info("event=some")
    finally:
        request_id.reset(token)
    assert json.loads(capsys.readouterr().err)["request"] == "17"
