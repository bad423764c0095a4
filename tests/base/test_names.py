"""Which user names are allowed."""

import pytest

from lanying.base import limits
from lanying.base.names import username_error


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
