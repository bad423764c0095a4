import msgspec

from lanying.base.figures import Figure
from lanying.supervisor.answers import ControlRefused, MeasuredProcess, MeasuredStatus, ProcessStatus, Status, split
from lanying.supervisor.requests import MoveRequest, RestartRequest, StatusRequest, StopRequest, answer_type

COUNTED = [Figure("messages", 7.0), Figure("messages", 3.0, {"kind": "group"}), Figure("sessions", 5.0)]


def test_what_was_counted_is_read_back() -> None:
    totals, series = split(COUNTED)
    row = ProcessStatus("shard-0", figures=totals, series=series)
    assert totals == {"messages": 7.0, "sessions": 5.0}
    found = msgspec.json.decode(msgspec.json.encode(row), type=ProcessStatus)
    assert sorted(found.counted, key=repr) == sorted(COUNTED, key=repr)


def test_an_answer_of_another_release_is_read() -> None:
    line = b'{"ok": true, "state": "ready", "of a newer release": 1, "processes": [{"name": "router", "new": []}]}'
    found = msgspec.json.decode(line, type=Status)
    assert found.process("router").figures == {} and found.total("sessions") == 0


def test_every_answer_says_first_whether_it_was_done() -> None:
    assert msgspec.json.encode(ControlRefused(error="not now")) == b'{"ok":false,"error":"not now"}'
    for kind in (StatusRequest, StopRequest, RestartRequest, MoveRequest):
        [base] = kind.__orig_bases__
        assert msgspec.json.encode(base.__args__[0]()).startswith(b'{"ok":true')
    assert answer_type(StatusRequest()) is Status


def test_what_was_measured_keeps_the_order_of_its_fields() -> None:
    plain = [*msgspec.to_builtins(ProcessStatus("router"))]
    assert [*msgspec.to_builtins(MeasuredProcess("router"))] == [*plain, "cpu_percent", "rss_bytes"]
    assert [*msgspec.to_builtins(MeasuredStatus())] == [*msgspec.to_builtins(Status())]
