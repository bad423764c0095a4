"""Signed names of files."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.gateway.files.file_signs import DOWNLOAD, MAX_CHARS, UPLOAD, Sign, read, write

KEY, NOW = b"k" * 32, 1_000
SIGN = Sign(DOWNLOAD, 11, 7, 2, 1, 99, NOW + 1)
BYTES = st.integers(0, 255)
NUMBERS = st.integers(0, (1 << 64) - 1)


TICKETS = st.builds(
    Sign, st.just(UPLOAD), NUMBERS, NUMBERS, BYTES, BYTES, NUMBERS, st.just(0), st.integers(0, (1 << 32) - 1)
)
ADDRESSES = st.builds(Sign, st.just(DOWNLOAD), NUMBERS, NUMBERS, BYTES, BYTES, NUMBERS, st.just(0), st.just(0))


@given(TICKETS | ADDRESSES)
def test_what_was_signed_is_read(sign):
    text = write(KEY, sign)
    assert len(text) <= MAX_CHARS and text.isascii() and not set(text) & set("=&?/+#")
    assert read(KEY, text, sign.purpose, NOW) == sign


@pytest.mark.parametrize("late_s", [0, 1, 10_000])
def test_a_sign_ends_with_its_second(late_s):
    assert read(KEY, write(KEY, SIGN), DOWNLOAD, NOW) == SIGN
    assert read(KEY, write(KEY, SIGN), DOWNLOAD, SIGN.expires + late_s) is None


def test_a_sign_is_good_for_its_purpose_and_app_only():
    text = write(KEY, SIGN)
    assert read(KEY, text, UPLOAD, NOW) is None
    assert read(b"x" * 32, text, DOWNLOAD, NOW) is None


@pytest.mark.parametrize("bit", range(0, 8 * 47, 5))
def test_a_changed_bit_anywhere_is_a_forgery(bit):
    data = bytearray(base64.urlsafe_b64decode(write(KEY, SIGN) + "=="))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    assert read(KEY, base64.urlsafe_b64encode(data).rstrip(b"=").decode(), DOWNLOAD, NOW) is None


@given(st.text(max_size=300))
def test_any_text_is_no_sign(text):
    assert read(KEY, text, DOWNLOAD, NOW) is None


def test_what_a_client_appends_to_an_address_is_ignored():
    assert read(KEY, write(KEY, SIGN) + "&image_type=2", DOWNLOAD, NOW) == SIGN
