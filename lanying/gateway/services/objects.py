"""Where the bytes of uploaded files are: one interface, two places. Blocking; called from threads.

An object has a key of the server's own making (``0f1e…``: hexadecimal digits, ``-`` and ``.``), never a name a client gave.
It is written once and never changed. On the disk it is ``<ab>/<cd>/<key>`` below the objects directory, ``abcd`` the first digits
of the key's SHA-256; in a bucket it is the key behind a prefix.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, Protocol

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config import schema

_KEY: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+(\.[a-z0-9]+)?")


class Reader(Protocol):
    """Bytes of an object, in order."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end."""

    def close(self) -> None:
        """Release it."""


class Objects(Protocol):
    """An object store."""

    def put(self, key: str, file: Path) -> None:
        """Keep a complete file whose content is on stable storage; the file is gone afterwards. :raises OSError: not kept"""

    def size(self, key: str) -> int | None:
        """Bytes of an object, None if there is none."""

    def open(self, key: str, start: int, length: int) -> Reader:
        """Part of an object that is there. :raises OSError: it is not"""

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""

    def local(self, key: str) -> Any:
        """Context manager: the path of a file with the object's content, to read only."""


class LocalObjects:
    """A directory, made when it is missing; files are handed over from the same file system."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, key: str, file: Path) -> None:
        target = self._path(key)
        for folder in (self._directory.parent, self._directory, target.parent.parent, target.parent):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
                _sync(folder.parent)
        file.replace(target)
        _sync(target.parent)

    def size(self, key: str) -> int | None:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, key: str, start: int, length: int) -> Reader:
        file = self._path(key).open("rb")
        file.seek(start)
        return _Part(file, length)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        yield self._path(key)

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key), key
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self._directory / digest[:2] / digest[2:4] / key


class S3Objects:
    """A bucket of an S3-compatible store."""

    def __init__(self, bucket: str, prefix: str = "", endpoint: str = "") -> None:
        try:
            import boto3  # only who keeps files in a bucket needs it
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise ConfigError("files.store = 's3' needs boto3: pip install 'lanying[s3]'") from error
        if not bucket:
            raise ConfigError("files.store = 's3' needs files.s3_bucket")
        self._errors = (BotoCoreError, ClientError)
        self._client: Any = boto3.client("s3", endpoint_url=endpoint or None)
        self._bucket = bucket
        self._prefix = prefix

    def put(self, key: str, file: Path) -> None:
        try:
            self._client.upload_file(str(file), self._bucket, self._name(key))
        except Exception as error:
            raise OSError(f"{self._bucket}: {error}") from error
        file.unlink()

    def size(self, key: str) -> int | None:
        try:
            return int(self._client.head_object(Bucket=self._bucket, Key=self._name(key))["ContentLength"])
        except self._errors as error:
            if getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.NOT_FOUND:
                return None
            raise OSError(f"{self._bucket}: {error}") from error

    def open(self, key: str, start: int, length: int) -> Reader:
        if not length:
            return _Nothing()
        span = f"bytes={start}-{start + length - 1}"
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._name(key), Range=span)
        except self._errors as error:
            raise OSError(f"{self._bucket}: {error}") from error
        body: Reader = found["Body"]
        return body

    def delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))
        except self._errors as error:
            raise OSError(f"{self._bucket}: {error}") from error

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        size = self.size(key)
        if size is None:
            raise FileNotFoundError(key)
        with NamedTemporaryFile() as file:
            reader = self.open(key, 0, size)
            while piece := reader.read(limits.DOWNLOAD_CHUNK_BYTES):
                file.write(piece)
            reader.close()
            file.flush()
            yield Path(file.name)

    def _name(self, key: str) -> str:
        assert _KEY.fullmatch(key), key
        return self._prefix + key


def make(settings: schema.Files, directory: Path) -> Objects:
    """The store the configuration names. :raises ConfigError: it cannot be"""
    if settings.store == "s3":
        return S3Objects(settings.s3_bucket, settings.s3_prefix, settings.s3_endpoint)
    return LocalObjects(directory)


class _Part:
    """The next ``length`` bytes of an open file."""

    def __init__(self, file: Any, length: int) -> None:
        self._file = file
        self._left = length

    def read(self, size: int, /) -> bytes:
        piece: bytes = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


class _Nothing:
    """No bytes."""

    def read(self, size: int, /) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing to release."""


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
