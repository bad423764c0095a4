"""The child that opens what strangers have uploaded: limits for itself first, then one piece of work, then it ends.

``python -I decoder.py MEMORY_MB SECONDS WORK …`` where the work is

- ``look SOURCE FORMAT PIXELS``: can the header be read, and could a thumbnail be made?
- ``thumbnail SOURCE FORMAT PIXELS BOX TARGET``: a picture of at most BOX × BOX, PNG when it is transparent, else JPEG
- ``run PROGRAM …``: another program under the same limits

Exit 0: done. 3: it cannot be done. Anything else, a signal too: it went over a limit, or the decoder fell over.

It imports nothing of this package, and Pillow when the limits hold: what a decoder can be made to do costs this process alone. A process
of its own for each piece of work gives all its memory back, and cannot be left in a bad state: its start takes 60 ms of CPU (measured).
"""

from __future__ import annotations

import os
import resource
import signal
import sys

CANNOT = 3
LARGEST_FILE = 64 << 20
"""A picture is far smaller, a recording as MP3 may be long."""


def limit(memory_mb: int, seconds: int) -> None:
    """From now on more memory is an error, more time is the end, and this is the first process the kernel ends for want of memory."""
    for what, most in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    signal.alarm(seconds)  # also when whoever started us is gone
    os.nice(10)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass  # not everywhere


def look(source: str, kind: str, pixels: int) -> bool:
    """Is it a picture of this format that a thumbnail can be made of?"""
    from PIL import Image

    _plugin(kind)
    with Image.open(source, formats=[kind]) as picture:
        picture.draft("RGB", (1, 1))
        return picture.width * picture.height <= pixels


def thumbnail(source: str, kind: str, pixels: int, box: int, target: str) -> bool:
    """Write a small picture. JPEGs are decoded smaller as far as that goes; what has more pixels even so is not decoded."""
    from PIL import Image, ImageOps

    _plugin(kind)
    with Image.open(source, formats=[kind]) as picture:
        picture.draft("RGB", (box, box))
        if picture.width * picture.height > pixels:
            return False
        picture.thumbnail((box, box))
        small = ImageOps.exif_transpose(picture)
        if small.has_transparency_data:
            small.convert("RGBA").save(target, "PNG")
        else:
            small.convert("RGB").save(target, "JPEG", quality=80)
    return True


def _plugin(kind: str) -> None:
    """One decoder is imported: for a format it does not know yet, Pillow would import them all."""
    names = {"JPEG": "Jpeg", "PNG": "Png", "GIF": "Gif", "WEBP": "WebP", "BMP": "Bmp"}
    __import__(f"PIL.{names[kind]}ImagePlugin")


def main(arguments: list[str]) -> int:
    """One piece of work."""
    memory_mb, seconds, work, *rest = arguments
    limit(int(memory_mb), int(seconds))
    if work == "run":
        os.execv(rest[0], rest)
    if work == "look":
        source, kind, pixels = rest
        return 0 if look(source, kind, int(pixels)) else CANNOT
    source, kind, pixels, box, target = rest
    return 0 if thumbnail(source, kind, int(pixels), int(box), target) else CANNOT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
