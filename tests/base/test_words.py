"""The word filter: what it finds, and how its list is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanying.base import words
from lanying.base.errors import ConfigError
from lanying.base.words import WordFilter
from lanying.config.schema import Config, PolicySettings
from lanying.supervisor import launcher


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing here", None),
        ("", None),
        ("a BAD thing", "a *** thing"),
        ("badly said", None),
        ("bad", "***"),
        ("这是坏词吗", "这是**吗"),
        ("İbad bad", "İbad ***"),
        ("bad坏词bad", "********"),
    ],
)
def test_words_are_found_whole_and_in_place(text: str, masked: str | None) -> None:
    assert WordFilter(["Bad", "坏词"]).mask(text) == masked


def test_a_list_of_words_is_checked_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "words"
    with pytest.raises(ConfigError, match="give a file"):
        words.read(str(file))
    file.write_text("# only a comment\n\n")
    with pytest.raises(ConfigError, match="has no words"):
        words.read(str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        words.read(str(file))
    file.write_text("# comment\nspam\n")
    assert WordFilter(words.read(str(file))).mask("# spam") == "# ****"


def test_a_start_without_the_list_is_refused(tmp_path: Path) -> None:
    config = Config(data=str(tmp_path / "data"), policy=PolicySettings(words_file=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match=r"policy\.words_file"):
        launcher.prepare(config, lambda: config)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("坏\u200b词", "***"),
        ("ＢＡＤ", "***"),
        ("b\u00e1d", "***"),
        ("ba\u0301d!", "****!"),
        ("B\u00adA\ufe0fD", "*****"),
        ("\u2066bad\u2069", "\u2066***\u2069"),
        ("\U0001d41b\U0001d41a\U0001d41d", "***"),
        ("a\u200b b", None),
        ("\ufb01ne bad", "\ufb01ne ***"),
    ],
)
def test_no_way_of_writing_hides_a_word(text: str, masked: str | None) -> None:
    assert WordFilter(["Bad", "坏词"]).mask(text) == masked
    assert WordFilter(["Bad", "坏词"]).finds(text) == (masked is not None)


def test_a_list_that_shows_nothing_finds_nothing() -> None:
    assert WordFilter(["\u200b"]).mask("anything\u200b") is None
