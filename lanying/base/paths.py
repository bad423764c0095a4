"""What is wrong with a path somebody gave, and what to do about it, in their words."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_REMEDIES: Final = {
    errno.ENOENT: "check the name, or give another path",
    errno.ENOTDIR: "a part of the path is a file; give a directory",
    errno.EISDIR: "give a file",
    errno.EEXIST: "give another path",
    errno.ENOTEMPTY: "give an empty directory",
    errno.EACCES: "give this user the right to it, or run the command as the user it belongs to",
    errno.EPERM: "give this user the right to it, or run the command as the user it belongs to",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "its links lead in a circle; give another path",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "the file system can only be read; mount it writable, or give another path",
    errno.EXDEV: "give a path on the same file system",
    errno.EIO: "the disk fails; look at `dmesg`, and keep a backup elsewhere",
}


def explain(file: Path, error: OSError | ValueError) -> str:
    """The name of a file and what is wrong with it. A link that leads nowhere is called that: ``ls`` shows it."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError) and os.path.islink(file):
        reason = f"is a link to {os.readlink(file)}, which is not there"
    return f"{file}: {reason}"


def say(error: OSError) -> str:
    """An error nobody has explained nearer to its cause: the path if it has one, what is wrong, and the remedy."""
    remedy = _REMEDIES.get(error.errno or 0, "try again; if it stays, ask your system's administrator")
    if error.filename is None:
        return f"{error.strerror or error}; {remedy}"
    return f"{explain(Path(os.fsdecode(error.filename)), error)}; {remedy}"
