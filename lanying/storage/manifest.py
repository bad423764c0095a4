"""Format of a backup, version 1.

A directory, mode 0700 (it has the keys that sign tokens)::

    manifest.json            what belongs to the backup; written last
    objects/<ab>/<sha256>    files by the SHA-256 of their content, <ab> its first two digits
    objects/**/*.part        being written; not part of anything

``manifest.json``: ``{"format": 1, "created_ms": …, "lanying": version, "app_id": …, "shards": n, "shard_map_version": …,
"files": [{"path": "shard-0/000012.sst", "size": …, "sha256": …}, …], "seal": …}``. ``path`` is relative to the data
directory the file is restored into; what is below ``cold/`` belongs to the directory of the cold stores. ``seal`` is the
SHA-256 of the JSON encoding of ``files``.

Validity: a backup is good if its manifest is there, has a known format and a right seal, and every file it names is
there with its size and hash. The manifest replaces that of the backup before only when all files are on stable storage,
so an interrupted backup changes nothing: what was good before still is, and without a manifest there is no backup.
Files that no manifest names are deleted after the next backup.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from lanying.base.errors import BackupError
from lanying.storage.directory import write_file

FILE_NAME = "manifest.json"
OBJECTS = "objects"
COLD = "cold"
"""Where the cold stores are in a backup, and in a data directory that was restored without another place for them."""
FORMAT = 1
CHUNK_BYTES = 1 << 20
_REMEDY = (
    "use another backup; to back up into this place again delete the file: what is good of the rest is used again. "
    "A disk that damages files should be replaced"
)


class ManifestEntry(msgspec.Struct, frozen=True):
    """One file."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """A whole backup; the module says what the fields are."""

    created_ms: int
    lanying: str
    app_id: str
    shards: int
    shard_map_version: int
    files: list[ManifestEntry]
    seal: str = ""
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    @property
    def has_cold(self) -> bool:
        """Are the cold stores in it?"""
        return any(entry.path.startswith(f"{COLD}/") for entry in self.files)

    def save(self, backup: Path) -> None:
        """Make this the backup that counts; every file of it must be on stable storage."""
        write_file(
            backup / FILE_NAME,
            msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(self, seal=_seal(self)))),
        )


class _Format(msgspec.Struct):
    format: int


def load(backup: Path) -> Manifest:
    """The manifest of a backup.

    :raises BackupError: there is none, it is damaged, or of a newer release
    """
    path = backup / FILE_NAME
    try:
        content = path.read_bytes()
        written = msgspec.json.decode(content, type=_Format).format
        if written != FORMAT:
            raise BackupError(f"{path}: format {written}, this release reads {FORMAT}; upgrade lanying")
        found = msgspec.json.decode(content, type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(
            f"{backup}: no backup (no {FILE_NAME}: it is written last, so one that was interrupted has none); "
            "make one with `lanying-cluster backup`"
        ) from None
    except msgspec.DecodeError as error:
        raise BackupError(f"{path}: damaged ({error}); {_REMEDY}") from error
    if found.seal != _seal(found):
        raise BackupError(f"{path}: damaged (the seal does not fit its files); {_REMEDY}")
    for entry in found.files:
        if Path(entry.path).is_absolute() or ".." in Path(entry.path).parts or len(entry.sha256) != 64:
            raise BackupError(f"{path}: damaged ({entry.path}); {_REMEDY}")
    return found


def object_path(backup: Path, sha256: str) -> Path:
    """Where the content with this hash is."""
    return backup / OBJECTS / sha256[:2] / sha256


def hash_file(path: Path, size: int, *, whole: bool = False) -> str:
    """SHA-256 of the first ``size`` bytes of a file. :raises BackupError: there are not as many; ``whole``: or more"""
    digest = hashlib.sha256()
    left = size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(CHUNK_BYTES, left))):
            digest.update(chunk)
            left -= len(chunk)
        if whole and file.read(1):
            raise BackupError(f"{path}: longer than {size} bytes")
    if left:
        raise BackupError(f"{path}: shorter than {size} bytes")
    return digest.hexdigest()


def _seal(manifest: Manifest) -> str:
    return hashlib.sha256(msgspec.json.encode(manifest.files)).hexdigest()
