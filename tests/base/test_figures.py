"""What a process counts, and how it travels."""

import msgspec
import pytest

from lanying.base.figures import Figure, labelled, of_row, to_row, totals

COUNTED = [Figure("messages", 7.0), *labelled("messages", "kind", {"chat": 4, "group": 3}), Figure("sessions", 5.0)]


def test_a_total_has_no_labels():
    assert totals(COUNTED) == {"messages": 7.0, "sessions": 5.0}


def test_a_row_of_status_is_read_back_as_it_was_made():
    row = msgspec.json.decode(msgspec.json.encode({"name": "shard-0"} | to_row(COUNTED)))
    assert row["figures"] == totals(COUNTED)
    assert {"name": "messages", "value": 3.0, "labels": {"kind": "group"}} in row["series"]
    assert sorted(of_row(row), key=repr) == sorted(COUNTED, key=repr)


def test_a_row_of_something_else_is_refused():
    with pytest.raises(msgspec.ValidationError):
        of_row({"figures": {}, "series": [{"name": "messages"}]})
