"""Cutting texts: what is counted is what is sent, escapes and UTF-8 included."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.push.vendors.payload import fit, fits, json_bytes, json_text, shorten, shorten_wide

ESCAPED = st.sampled_from(("\x00", "\x1f", "\n", '"', "\\", "/", "\x7f", "é", "字", "…", "\u2028", "😀", "a"))
BODIES = st.text(max_size=60) | st.lists(ESCAPED, max_size=60).map("".join)


def payload(body: str) -> dict[str, Any]:
    return {"alert": {"title": "\x00é", "body": body}, "ext": {"n": [1e16, 1e-7, 0.1]}}


@given(body=BODIES, most=st.integers(0, 300))
def test_as_much_as_fits_and_never_more(body: str, most: int) -> None:
    def size(shown: str) -> int:
        return len(json_bytes(payload(shown)))

    shown = fit(payload, body, most)
    if shown is None:
        assert size("…" if body else "") > most
        return
    assert size(shown) <= most
    assert shown == body or (shown[-1] == "…" and body.startswith(shown[:-1]))
    if shown != body:
        longer = body[: len(shown)] + "…" if len(shown) < len(body) else body
        assert size(longer) > most, "one character more would not have fitted"


@pytest.mark.parametrize("letter", ["\x00", '"', "字", "😀"])
def test_a_text_of_escapes_alone(letter: str) -> None:
    shown = fit(payload, letter * 4096, 4096)
    assert shown is not None and 4096 - 8 <= len(json_bytes(payload(shown))) <= 4096


@given(text=BODIES, most=st.integers(1, 80))
def test_texts_cut_by_characters_and_columns(text: str, most: int) -> None:
    assert len(shorten(text, most)) <= most
    if most >= 2:
        assert sum(1 if letter.isascii() else 2 for letter in shorten_wide(text, most)) <= most


@given(text=BODIES, most=st.integers(0, 200))
def test_fits_counts_utf8(text: str, most: int) -> None:
    quoted = json_text({"ext": text})
    assert fits(quoted, most) == (len(json_bytes({"ext": text})) <= most)
