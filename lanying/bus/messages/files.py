"""Calls about uploaded files; asked of the shard that owns the uploader."""

from __future__ import annotations

import msgspec

from lanying.bus.messages.base import Request


class FileRecord(msgspec.Struct, array_like=True, frozen=True):
    """An uploaded file.

    :ivar owner: the uploader; ``number`` is random, both together name the file and its bytes
    :ivar kind: media type found by looking at the content
    :ivar sha256: of the content, hexadecimal
    :ivar file_type: what it was uploaded as (rest-api.md section 4), ``to_type`` 1 user or 2 group and ``to_id`` for whom
    """

    owner: int
    number: int
    app: str
    name: str
    size: int
    kind: str
    sha256: str
    file_type: int
    to_type: int
    to_id: int
    created_ms: int


class FileUsage(msgspec.Struct, array_like=True, frozen=True):
    """How much a user has stored."""

    owner: int
    bytes: int = 0
    count: int = 0


class CheckFile(Request[bool], tag=300):
    """Check whether a file of this size is accepted. Errors: 10002 it is there already, 10009 more than ``quota`` bytes (0: no quota)."""

    owner: int
    number: int
    size: int
    quota: int


class AddFile(Request[bool], tag=301):
    """Keep a record. Errors: as :class:`CheckFile`."""

    record: FileRecord
    quota: int


class GetFile(Request[FileRecord | None], tag=302):
    """The record of a file, None if there is none."""

    owner: int
    number: int


class RemoveFiles(Request[int], tag=303):
    """Delete records of this shard by owner and number. Result: how many existed."""

    keys: list[tuple[int, int]]


class OldFiles(msgspec.Struct, array_like=True, frozen=True):
    """Records by owner and number; ``next``: where to go on, None at the end."""

    keys: list[tuple[int, int]]
    next: tuple[int, int] | None


class ListOldFiles(Request[OldFiles], tag=304):
    """Look at the next records of a shard, behind ``after``, for those made before ``before_ms`` or by a deleted account."""

    after: tuple[int, int]
    before_ms: int


class ListFileUsage(Request[list[FileUsage]], tag=305):
    """Usage of the next owners of a shard behind ``after`` (-1: from the first)."""

    after: int
