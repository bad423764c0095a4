"""JSON that others wrote ends in a value or in one kind of error."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lanying.base import jsons


@given(st.binary(max_size=60) | st.text(st.characters(), max_size=60))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example("\ud800")
@example(b'"\\ud800"')
@example(b"1" * 10_000)
@example(b"1e400")
def test_anything_is_a_value_or_a_value_error(text: str | bytes) -> None:
    try:
        value = jsons.read(text)
    except ValueError:
        return
    assert value is None or isinstance(value, dict | list | str | int | float)


@pytest.mark.parametrize("text", ['{"a": [1, -2.5, null, true, "é\\n😀"]}', "18446744073709551617", '"x"', "[]"])
def test_what_is_json_is_read_as_python_reads_it(text: str) -> None:
    assert jsons.read(text) == jsons.read(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["", "NaN", "[1,]", "{'a': 1}", "1 2", "nul", '"\x01"'])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        jsons.read(text)
