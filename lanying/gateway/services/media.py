"""What a file is, by its first bytes, and what may be made of it. Pure."""

from __future__ import annotations

from typing import Final

import puremagic

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
"""Formats ffmpeg may read. It never guesses: a playlist would make it open other files."""
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
