"""What a file is, by its bytes alone: nothing a browser would run is ever shown as something else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lanying.gateway.services.media import BOXES, DEFAULT_BOX, DEMUXERS, INLINE, PICTURES, UNKNOWN, kind_of


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "name"), PICTURES.items())
def test_pictures_are_what_they_are(kind: str, name: str) -> None:
    assert kind_of(picture(name)) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video/quicktime"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"OggS\0\x02", "audio/ogg"),
    ],
)
def test_what_clients_send_is_known(head: bytes, kind: str) -> None:
    assert kind_of(head + bytes(64)) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x",
        b"<!doctype html><script>alert(1)</script>",
        b"<html><body>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<?xml version='1.0'?><svg/>",
        b"#!/bin/sh\nrm -rf /",
        b"MZ\x90\0",
        b"\x7fELF\x02",
        b"PK\x03\x04",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_no_client_shows_is_unknown(head: bytes) -> None:
    assert kind_of(head) == UNKNOWN


@given(st.binary(max_size=64))
def test_any_bytes_are_something_a_browser_may_show_or_unknown(head: bytes) -> None:
    assert kind_of(head) in INLINE | {UNKNOWN, "application/pdf"}


def test_only_what_is_shown_is_decoded_and_boxes_grow() -> None:
    assert PICTURES.keys() | DEMUXERS.keys() <= INLINE
    assert not {"image/svg+xml", "text/html", UNKNOWN, "application/pdf"} & INLINE
    assert DEFAULT_BOX in BOXES and [*BOXES] == sorted(BOXES)
