"""Which user names are allowed."""

import pytest

from lanying.base import limits
from lanying.base.names import compared, display_name, username_error
from lanying.cluster.shardmap import slot_of_name


@pytest.mark.parametrize("name", ["a", "alice_1", "张三", "a" * limits.USERNAME_CHARS, "0x", "_"])
def test_letters_digits_underscores_and_han_characters_make_a_name(name):
    assert username_error(name) is None


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("", "has 1 to"),
        ("a" * (limits.USERNAME_CHARS + 1), "has 1 to"),
        ("a b", "is made of"),
        ("a-b", "is made of"),
        ("a\n", "is made of"),
        ("é", "is made of"),
        ("mta1", "not starting with mta"),
        ("maximus", "not starting with mta or maxim"),
        ("123", "add a letter"),
    ],
)
def test_any_other_is_refused_with_what_to_change(name, remedy):
    assert remedy in username_error(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zo\u00eb", "zoe\u0308"),
        ("alice", "\uff21lice"),
        ("\u8c48", "\uf900"),
        ("\u1e9b\u0323", "\u1e9b\u0323".upper()),
        ("\u0390", "\u03b9\u0308\u0301"),
    ],
)
def test_ways_of_writing_one_name(one, other):
    assert compared(one) == compared(other) == compared(compared(one))
    assert slot_of_name("app", one) == slot_of_name("app", other)


def test_names_that_differ():
    assert len({compared(name) for name in ("e", "\u00e9", "\u00eb", "ee", "\u30a2", "\u3042")}) == 6


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("  ", ""),
        (" Ann ", "Ann"),
        ("e\u0301", "é"),
        ("张 三", "张 三"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("سارة", "سارة"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        ),
        ("❤\ufe0f", "❤\ufe0f"),
    ],
)
def test_what_people_are_called_is_kept_composed_and_without_space_around(typed, kept):
    assert display_name(typed) == kept


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("a\nb", "one line"),
        ("a\u2028b", "one line"),
        ("a\x00b", "one line"),
        ("admin\u202etxt", "direction"),
        ("\u2067a", "direction"),
        ("alice\u200b", "invisible"),
        ("al\u00adice", "invisible"),
        ("\ufeffalice\u2060", "invisible"),
        ("\u200b", "invisible"),
        ("\u200d", "add a letter"),
        ("\u3164\u3164", "add a letter"),
        ("\u2800", "add a letter"),
        ("\u0301", "add a letter"),
    ],
)
def test_names_nobody_can_read_are_refused(typed, remedy):
    with pytest.raises(ValueError, match=remedy):
        display_name(typed)
