"""Texts as a reader sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.base import folding, limits


@pytest.mark.parametrize("written", ["Admin", "ＡＤＭＩＮ", "a\u200bdmin", "【 Ádmin_ 】", "\u202eadmin", "a.d.m.i.n"])
def test_one_name_in_many_ways_of_writing(written: str) -> None:
    assert folding.letters(written) == "admin"


@given(st.text())
def test_folding_again_changes_nothing_and_every_character_has_its_place(text: str) -> None:
    folded = folding.folded(text)
    assert folding.folded(folded) == folded
    places = folding.places(text)
    assert len(places) == len(folded)
    assert places == sorted(places)
    assert all(folding.folded(text[place]) for place in places)


def test_what_is_remembered_is_bounded() -> None:
    for start in range(0, 0x11000, 0x800):
        folding.folded("".join(map(chr, range(start, start + 0x800))))
    assert len(folding._FOLDED) <= limits.FOLDED_CHARS
