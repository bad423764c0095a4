"""Text files that people hand us: configuration, word lists, keys, certificates. Every one of them is read here.

Taken as editors write them: UTF-8 with or without a byte order mark, lines ending in LF, CR LF or CR. What is something
else is refused in words that say what it is and how to put it right. Files that only this program writes are not read here.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.base.paths import explain

_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
"""The longer mark first: that of UTF-32 begins with that of UTF-16."""


def read(file: Path, remedy: str) -> str:
    """The text of a file, lines ending in LF.

    :param remedy: what to do about a file that cannot be read
    :raises ConfigError: it cannot be read, or has no UTF-8 text
    """
    return decode(read_bytes(file, remedy), file)


def read_bytes(file: Path, remedy: str) -> bytes:
    """As it is: for a file that may be binary. :raises ConfigError: it cannot be read, or is too long to be what is meant"""
    try:
        with file.open("rb") as reading:
            content = reading.read(limits.TEXT_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise ConfigError(f"{explain(file, error)}; {remedy}") from error
    if len(content) > limits.TEXT_FILE_BYTES:
        raise ConfigError(f"{file}: over {limits.TEXT_FILE_BYTES >> 20} MiB, it must be another file; {remedy}")
    return content


def decode(content: bytes, file: Path) -> str:
    """The text in a file's bytes. :raises ConfigError: not UTF-8; the text names the encoding if it can be seen, else the line"""
    wide = next((name for mark, name in _WIDE if content.startswith(mark)), None)
    if wide is None and b"\0" in content[:4] and len(content) % 2 == 0:
        wide = "UTF-16 without a mark"
    if wide is not None:
        raise ConfigError(
            f"{file}: is {wide} text; save it as UTF-8 (in Notepad: Save as, Encoding), or convert it with `iconv -t utf-8`"
        )
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}: line {line} is not UTF-8 text; save it as UTF-8, or convert it with `iconv`"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
