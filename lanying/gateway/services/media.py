"""What a file is, and what is made of it: thumbnails, covers of videos, other audio formats. Blocking; called from threads."""

from __future__ import annotations

import logging
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Final

import puremagic
from PIL import Image, ImageOps

from lanying.base import limits

log = logging.getLogger(__name__)

UNKNOWN: Final = "application/octet-stream"
PICTURES: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
}
"""Media types thumbnails are made of, and what Pillow calls them: no other decoder is ever tried."""
DEMUXERS: Final = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/3gpp": "mov",
    "video/webm": "matroska",
    "audio/amr": "amr",
}
"""Formats ffmpeg is told to read. It never guesses: a playlist would make it open other files."""
INLINE: Final = {
    *PICTURES,
    *DEMUXERS,
    *("image/heif", "image/heic", "audio/mpeg", "audio/ogg", "audio/wav", "audio/aac", "audio/x-m4a", "audio/mp4"),
}
"""Types a browser may show; everything else (HTML, SVG, unknown) is handed out as a download without a type."""
BOXES: Final = (160, 320, 640, 1280)
"""Longest side of a thumbnail in pixels: a request gets the next larger one, so few are kept."""
DEFAULT_BOX: Final = 320
_SAME: Final = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "image/x-ms-bmp": "image/bmp",
}
_KNOWN: Final = INLINE | {"application/pdf"}


def kind_of(head: bytes) -> str:
    """Media type of a file that begins with ``head``; :data:`UNKNOWN` for what no client shows.

    ``puremagic`` and not a table of our own: brands of MP4, QuickTime and HEIF are data that changes, and it costs 1 MB in one process.
    """
    if head.startswith(b"#!AMR"):
        return "audio/amr"
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    for match in found:
        kind: str = _SAME.get(match.mime_type, match.mime_type)
        if kind in _KNOWN:
            return kind
    return UNKNOWN


def thumbnail(source: Path, kind: str, box: int, target: Path) -> bool:
    """Write a picture of at most ``box`` × ``box`` pixels: PNG when it is transparent, else JPEG. False: it cannot be made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=[PICTURES[kind]]) as picture:
                if picture.width * picture.height > limits.PICTURE_PIXELS:
                    return False
                picture.draft("RGB", (box, box))
                small: Image.Image = ImageOps.exif_transpose(picture)
                small.thumbnail((box, box))
                if small.has_transparency_data:
                    small.convert("RGBA").save(target, "PNG")
                else:
                    small.convert("RGB").save(target, "JPEG", quality=80)
        return True
    except Exception as error:  # noqa: BLE001 - decoders raise anything on broken files
        log.info("event=no_thumbnail kind=%s error=%s", kind, error)
        return False


def is_picture(source: Path, kind: str) -> bool:
    """Can the header be read, and is the picture of a size a thumbnail can be made of?"""
    try:
        with Image.open(source, formats=[PICTURES[kind]]) as picture:
            return picture.width * picture.height <= limits.PICTURE_PIXELS
    except Exception:  # noqa: BLE001 - decoders raise anything on broken files
        return False


def cover(source: Path, kind: str, target: Path) -> bool:
    """Write a JPEG of a video's first picture. False: it cannot be made, for example without ffmpeg."""
    scale = f"scale='min({DEFAULT_BOX * 2},iw)':-2"
    return _convert(source, kind, target, "-frames:v", "1", "-vf", scale, "-f", "mjpeg")


def mp3(source: Path, kind: str, target: Path) -> bool:
    """Write audio as MP3. False: it cannot be made, for example without ffmpeg."""
    return _convert(source, kind, target, "-vn", "-f", "mp3")


def _convert(source: Path, kind: str, target: Path, *options: str) -> bool:
    program, demuxer = shutil.which("ffmpeg"), DEMUXERS.get(kind)
    if program is None or demuxer is None:
        return False
    command = [program, "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file", "-f", demuxer]
    command += ["-threads", "1", "-i", f"file:{source}", *options, f"file:{target}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limits.CONVERT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("event=ffmpeg_failed kind=%s error=%s", kind, error)
        return False
    if done.returncode:
        log.info("event=ffmpeg_refused kind=%s error=%s", kind, done.stderr[-200:].decode("utf-8", "replace").strip())
    return done.returncode == 0 and target.exists() and target.stat().st_size > 0
