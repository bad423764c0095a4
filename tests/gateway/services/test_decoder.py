"""The child that decodes, as a process: what it makes, and that its limits hold."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lanying.base import limits
from lanying.gateway.services import decoder

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")


def child(*work: object, memory_mb: int = limits.DECODER_MB, seconds: int = 20) -> int:
    command = [sys.executable, "-I", decoder.__file__, str(memory_mb), str(seconds), *map(str, work)]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode


def made(tmp_path: Path, kind: str, size: tuple[int, int] = (1000, 500), mode: str = "RGB") -> Path:
    file = tmp_path / f"source.{kind}"
    Image.new(mode, size, 77).save(file, kind)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_becomes_a_thumbnail(kind: str, tmp_path: Path) -> None:
    source, target = made(tmp_path, kind), tmp_path / "target"
    assert child("look", source, kind, 500_000) == 0
    assert child("thumbnail", source, kind, 500_000, 320, target) == 0
    assert Image.open(target).size == (320, 160)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_too_large_or_broken_or_something_else_is_refused(kind: str, tmp_path: Path) -> None:
    source, target = made(tmp_path, kind), tmp_path / "target"
    assert child("thumbnail", source, kind, 499_999 if kind != "JPEG" else 4_000, 320, target) == decoder.CANNOT
    assert child("look", source, kind, 499_999 if kind != "JPEG" else 4_000) == decoder.CANNOT
    assert child("thumbnail", source, KINDS[KINDS.index(kind) - 1], 500_000, 320, target) == 1, (
        "no other decoder is tried"
    )
    source.write_bytes(source.read_bytes()[:20])
    assert child("thumbnail", source, kind, 500_000, 320, target) == 1
    assert not target.exists()


def test_a_picture_is_upright_and_a_transparent_one_stays_so(tmp_path: Path) -> None:
    target, source = tmp_path / "target", tmp_path / "source"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1000, 500)).save(source, "JPEG", exif=exif)
    assert child("thumbnail", source, "JPEG", 500_000, 320, target) == 0
    assert Image.open(target).size == (160, 320)
    assert child("thumbnail", made(tmp_path, "PNG", mode="RGBA"), "PNG", 500_000, 320, target) == 0
    assert Image.open(target).format == "PNG"


def test_the_largest_picture_of_every_format_fits_the_memory(tmp_path: Path) -> None:
    side = int(limits.PICTURE_PIXELS**0.5)
    for kind, mode in (("PNG", "RGBA"), ("WEBP", "RGBA"), ("JPEG", "RGB")):
        source = made(tmp_path, kind, (side, side), mode)
        assert child("thumbnail", source, kind, limits.PICTURE_PIXELS, 320, tmp_path / "target") == 0, kind


def test_more_memory_and_more_time_end_the_child(tmp_path: Path) -> None:
    bomb = made(tmp_path, "PNG", (20_000, 10_000), "L")
    assert child("thumbnail", bomb, "PNG", 1 << 40, 320, tmp_path / "target") == 1, "no memory for 200 MB of pixels"
    assert child("run", "/bin/sleep", "60", seconds=1) < 0
    assert child("run", "/bin/sh", "-c", "while :; do :; done", seconds=1) < 0
    assert child("run", sys.executable, "-c", "bytearray(300 << 20)") == 1
    assert not (tmp_path / "target").exists()


def test_it_knows_nothing_of_the_server() -> None:
    """What a decoder is made to do finds no keys in its memory, and its start is short."""
    seen = (
        "import sys, decoder; print(*(name for name in sys.modules if name.startswith(('lanying', 'PIL', 'asyncio'))))"
    )
    folder = str(Path(decoder.__file__).parent)
    said = subprocess.run([sys.executable, "-c", seen], env={"PYTHONPATH": folder}, capture_output=True, check=True)
    assert io.BytesIO(said.stdout).read().strip() == b""
