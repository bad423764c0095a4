"""Objects in a bucket of an S3-compatible store, by obstore: asynchronous, no thread of ours waits. Imported only when it is used."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.gateway.services.objects import Pieces, check_key

PART_BYTES: Final = 5 << 20
"""A larger file goes up in parts of this size: the least that S3 takes."""
PARTS: Final = 2
"""Parts of one upload under way: each is in memory."""
IDLE: Final = timedelta(seconds=60)
"""Without a byte from the store for this long a request is tried again, or has failed."""
REQUEST: Final = timedelta(days=1)
"""A whole request: a slow client takes long for a large file."""
RETRIES: Final = 5
RETRY: Final = timedelta(seconds=20)
"""A request is tried again for this long; a client waits for the answer."""


class BucketObjects:
    """Objects behind a prefix of any store that obstore knows."""

    def __init__(self, store: ObjectStore, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    async def put(self, key: str, file: Path) -> None:
        with _system_errors():
            await self._store.put_async(self._name(key), file, chunk_size=PART_BYTES, max_concurrency=PARTS)
        await asyncio.to_thread(file.unlink)

    async def size(self, key: str) -> int | None:
        try:
            with _system_errors():
                return (await self._store.head_async(self._name(key)))["size"]
        except FileNotFoundError:
            return None

    async def open(self, key: str, start: int, length: int) -> Pieces:
        if not length:
            return _nothing()
        with _system_errors():
            found = await self._store.get_async(self._name(key), options={"range": (start, start + length)})
            return _pieces(found.stream(limits.DOWNLOAD_CHUNK_BYTES))

    async def delete(self, key: str) -> None:
        try:
            with _system_errors():
                await self._store.delete_async(self._name(key))
        except FileNotFoundError:
            return

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        size = await self.size(key)
        if size is None:
            raise FileNotFoundError(key)
        with NamedTemporaryFile() as file:
            async for piece in await self.open(key, 0, size):
                await asyncio.to_thread(file.write, piece)
            file.flush()
            yield Path(file.name)

    def _name(self, key: str) -> str:
        check_key(key)
        return self._prefix + key


def s3(bucket: str, prefix: str = "", endpoint: str = "") -> BucketObjects:
    """A bucket of Amazon's or of ``endpoint``; credentials and region are those of the environment.

    :raises ConfigError: no bucket, or not one that can be
    """
    if not bucket:
        raise ConfigError("files.store = 's3' needs files.s3_bucket")
    if prefix.startswith("/") or "//" in prefix:
        raise ConfigError("files.s3_prefix begins with / or has // in it: write it like lanying/files/")
    os.environ.setdefault(
        "TOKIO_WORKER_THREADS", "1"
    )  # obstore's own threads: one per core costs memory and nothing is faster
    try:
        store = S3Store(
            bucket,
            endpoint=endpoint or None,
            client_options={"allow_http": endpoint.startswith("http:"), "read_timeout": IDLE, "timeout": REQUEST},
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRY},
        )
    except BaseError as error:
        raise ConfigError(f"files.store = 's3': {_first_line(error)}") from error
    return BucketObjects(store, prefix)


async def _pieces(stream: AsyncIterator[bytes]) -> Pieces:
    with _system_errors():
        async for piece in stream:
            yield bytes(piece)  # of obstore's own type until here


async def _nothing() -> Pieces:
    nothing: tuple[bytes, ...] = ()
    for piece in nothing:
        yield piece


@contextmanager
def _system_errors() -> Iterator[None]:
    """Errors of obstore are those of the system; what it does not find is one already."""
    try:
        yield
    except BaseError as error:
        raise OSError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    """Without what obstore adds for its own developers."""
    return str(error).partition("\n")[0]
