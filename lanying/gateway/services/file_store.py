"""The gateway's share of files: the object store, room for uploads, and what has to be tidied up.

A record is committed before its bytes are moved (see ``files``). What a crash leaves in between is in the directory of
incoming files under the record's name: :meth:`FileStore.recover` moves it when there is a record, and deletes it when not.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lanying.base import limits
from lanying.base.errors import CallError, ConfigError
from lanying.base.refusals import Refusal
from lanying.bus.messages import FileRecord, GetFile, ListFileUsage, ListOldFiles, RemoveFiles
from lanying.bus.shards import Shards, ask, ask_shard
from lanying.cluster.runtime import INCOMING, OBJECTS
from lanying.config import schema
from lanying.config.runtime import RuntimeSettings
from lanying.gateway.services import media
from lanying.gateway.services.objects import LocalObjects, Objects
from lanying.gateway.services.uploads import Incoming, Uploads

log = logging.getLogger(__name__)

PAUSE_S: Final = 3600.0
"""From the end of one round of housekeeping to the next."""
RETRY_S: Final = 2.0
"""Shards that are still starting are asked again this soon."""
DAY_MS: Final = 86_400_000
_PART: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]{16})\.[0-9]+\.part")


class FileStore:
    """What uploads and downloads share.

    :param data: the data directory
    :param uploads: those under way
    :raises ConfigError: the object store of the configuration cannot be used

    :ivar used_bytes: all files together, as far as the shards have reported; 0 until they have
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        shards: Shards,
        data: Path,
        now_ms: Callable[[], int],
        uploads: Uploads,
    ) -> None:
        self._settings = settings
        self._shards = shards
        self._now_ms = now_ms
        self.objects = object_store(settings.config.files, data / OBJECTS)
        self._directory = data / INCOMING
        self._last = 0
        self._uploads = uploads
        self.used_bytes = 0

    @contextmanager
    def incoming(self, key: str, expected: int, peer: str) -> Iterator[Incoming]:
        """An upload with a path for its bytes; what is still there at the end goes.

        :raises CallError: 503 too many at once, 10009 no room for ``expected`` bytes
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.check_room(expected)
        path = self._fresh(key, "part")
        try:
            with self._uploads.place(path, key.partition("-")[0], peer) as upload:
                yield upload
        finally:
            path.unlink(missing_ok=True)

    def scratch(self, key: str) -> Path:
        """A path for something made of a file."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._fresh(key, "made")

    def _fresh(self, key: str, ending: str) -> Path:
        self._last += 1
        return self._directory / f"{key}.{self._last}.{ending}"

    def check_room(self, size: int) -> None:
        """:raises CallError: 10009, the disk or the quota of all files has no room for ``size`` more bytes"""
        total = self._settings.config.files.total_mb << 20
        if total and self.used_bytes + size > total:
            raise CallError(Refusal.STORAGE_FULL)
        reserve = self._settings.config.storage.min_free_bytes
        if shutil.disk_usage(self._directory).free - size < reserve:
            raise CallError(Refusal.NOT_STORED, "the server's disk is full; ask the administrator")

    async def housekeeping(self) -> None:
        """Tidy up after a crash, then delete what is too old, for ever."""
        await self._until_answered(self.recover)
        while True:
            await self._until_answered(self.count)
            await self._until_answered(self.expire)
            await asyncio.sleep(PAUSE_S)

    async def _until_answered(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
                return
            except (CallError, OSError) as error:
                log.warning("event=files_housekeeping_failed error=%s", error)
                await asyncio.sleep(RETRY_S)

    async def recover(self) -> None:
        """Finish uploads whose record is there, delete the rest. Nothing may be under way."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(self._directory.iterdir()):
            match = _PART.fullmatch(path.name)
            if match is not None:
                owner, number = int(match[1], 16), int(match[2], 16)
                record = await self._record(owner, number)
                key = path.name.partition(".")[0]
                whole = record is not None and record.size == path.stat().st_size
                if whole and await self.objects.size(key) is None:
                    await self.objects.put(key, path)
            path.unlink(missing_ok=True)

    async def count(self) -> None:
        """Ask all shards what is stored."""
        used = 0
        for shard in self._shards.map.peers:
            after = -1
            while True:
                rows = await ask_shard(self._shards, shard, ListFileUsage(after))
                used += sum(row.bytes for row in rows)
                if len(rows) < limits.FILES_SCANNED:
                    break
                after = rows[-1].owner
        self.used_bytes = used

    async def expire(self) -> None:
        """Delete files older than ``files.retention_days`` and those of deleted accounts: their bytes, then their records."""
        days = self._settings.config.files.retention_days
        before_ms = self._now_ms() - days * DAY_MS if days else 0
        for shard in self._shards.map.peers:
            await self._expire(shard, before_ms)

    async def _expire(self, shard: int, before_ms: int) -> None:
        place: tuple[int, int] | None = (0, 0)
        while place is not None:
            found = await ask_shard(self._shards, shard, ListOldFiles(place, before_ms))
            for owner, number in found.keys:
                await self.forget(object_key(owner, number))
            if found.keys:
                await ask_shard(self._shards, shard, RemoveFiles(found.keys))
            place = found.next

    async def forget(self, key: str) -> None:
        """Delete a file's bytes and all that was made of them."""
        for made in (*variants(key), key):
            await self.objects.delete(made)

    async def _record(self, owner: int, number: int) -> FileRecord | None:
        return await ask(self._shards, owner, GetFile(owner, number))


def object_store(settings: schema.FilesSettings, directory: Path) -> Objects:
    """The store that the configuration names. :raises ConfigError: it cannot be"""
    if settings.store != "s3":
        return LocalObjects(directory)
    try:
        from lanying.gateway.services import bucket
    except ImportError as error:
        raise ConfigError("files.store = 's3' needs obstore: pip install 'lanying[s3]'") from error
    return bucket.s3(settings.s3_bucket, settings.s3_prefix, settings.s3_endpoint)


def object_key(owner: int, number: int) -> str:
    """Name of a file's bytes in the object store."""
    return f"{owner:x}-{number:016x}"


def variants(key: str) -> tuple[str, ...]:
    """Names of everything that may have been made of a file."""
    return (*(f"{key}.t{box}" for box in media.BOXES), f"{key}.cover", f"{key}.mp3")
