"""Moves a stopped server's data to another shard map: other numbers of shards, other owners of slots.

Steps, each of which can be interrupted and is gone on with by the same command:

=======  ===============================================================================================================
deliver  what is under way between shards (:mod:`lanying.storage.drain`): the new links begin empty
copy     every row of a user, group or slot to the shard that gets its slot, into ``shard-<n>.reshard-<version>``;
         what is in a cold store comes back (and moves again later)
verify   rows and sums per family are the same before and after, every new store keeps its invariants
switch   ``shard-<n>`` to ``shard-<n>.before-<version>``, the new directories in their place, then the new shard map;
         meanwhile ``reshard.switching`` says that what is there fits no map, and a start finishes this first
clean    the old directories are deleted
=======  ===============================================================================================================

Until the switch the old data is as it was: a server may be started again, and what it changes is noticed by the
databases' sequence numbers and copied anew. Message ids keep the number of the shard that made them. Every new shard
begins above the highest id of all old ones, so ids stay unique.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lanying.base.errors import ReshardError
from lanying.cluster.runtime import cold_path
from lanying.cluster.shardmap import ShardMap
from lanying.config.schema import Config
from lanying.shard.core.mailbox import Conversation, mend
from lanying.shard.store import placement, schema
from lanying.shard.store.base import Store
from lanying.shard.store.cold import MARK, cold_place
from lanying.shard.store.rocks import RocksStore
from lanying.shard.upkeep.retention import RETAINED
from lanying.storage import directory
from lanying.storage.drain import drain
from lanying.storage.journal import CLEAN, COPY, SWITCH, VERIFY, Journal, row_sum
from lanying.storage.progress import Point, ProgressReport, Silent, no_point
from lanying.storage.verify import BEHIND_ALL, count_rows, verify_store
from lanying.supervisor.datadir import SWITCHING_FILE

BATCH_BYTES = 1 << 20
COLD_GROWS = 2
"""What a cold store has takes this much more room in the others, which are compressed less."""
JOURNAL_EVERY = 100_000
"""Rows copied between two entries of the journal, at each of which all new databases are flushed."""
KNOWN_META = {b"schema_version", b"schema_compat_version", b"shard", b"last_id", schema.SERVING, RETAINED, MARK}


class MoveResult(NamedTuple):
    """What was done.

    :ivar delivered: messages that were under way between the old shards
    :ivar rows: moved, by family
    :ivar problems: broken invariants the data had before and still has
    """

    before: int
    after: int
    delivered: int
    rows: dict[str, int]
    problems: list[str]


def need_room(data: Path, shards: int, config: Config) -> int:
    """Bytes that will be copied, about. :raises ReshardError: there is not so much room"""
    size = sum(directory.tree_bytes(directory.shard_path(data, index)) for index in range(shards))
    if place := cold_path(data, config.storage.cold_path):
        size += COLD_GROWS * sum(directory.tree_bytes(cold_place(place, index)) for index in range(shards))
    needed, free = size + config.storage.min_free_bytes, directory.free_bytes(data)
    if free < needed:
        raise ReshardError(
            f"{data}: the data is copied, which needs {needed >> 20} MiB free, there are {free >> 20} MiB; "
            "make room or move the directory to a larger disk"
        )
    return size


class Reshard:
    """One resharding of one (locked) data directory.

    :param wanted: which shard gets which slot; None: go on with what is under way
    :param keep_old: leave the old directories
    :raises ReshardError: another one is under way, or nothing would move
    """

    def __init__(
        self,
        data: Path,
        wanted: ShardMap | None,
        config: Config,
        *,
        progress: ProgressReport | None = None,
        keep_old: bool = False,
        point: Point = no_point,
    ) -> None:
        self._data = data
        self._config = config
        self._progress = progress or Silent()
        self._keep_old = keep_old
        self._cold_path = cold_path(data, config.storage.cold_path)
        self._point = point
        self._old = directory.need_map(data)
        self._journal = journal = Journal.load(data)
        if wanted is None:
            if journal is None:
                raise ReshardError(f"{data}: no resharding is under way; say where the data shall go (--help)")
            wanted = journal.map
        if not wanted.is_whole:
            raise ReshardError(f"not every slot would be on one of {wanted.shards} shards")
        if journal is not None and (journal.shards, journal.map.slots) != (wanted.shards, wanted.slots):
            raise ReshardError(
                f"{data}: a resharding to {journal.shards} shards is under way, with other owners of slots; "
                "finish it with `lanying-cluster reshard` and nothing else, or give it up with --cancel"
            )
        if set(placement.PLACES) != set(schema.FAMILIES):
            raise ReshardError("this release does not know how to move all of its data (placement.py)")
        if journal is None and (wanted.shards, wanted.slots) == (self._old.shards, self._old.slots):
            raise ReshardError(f"{data}: every slot is there already, on {wanted.shards} shards")
        if journal is not None and journal.step == SWITCH and not self.is_switching:
            journal.step = VERIFY  # a server may have run since
        self._wanted = wanted
        self._shards = wanted.shards
        self._problems: list[str] = []

    @property
    def is_switching(self) -> bool:
        """Directories were exchanged, some or all."""
        assert self._journal is not None
        return (self._data / SWITCHING_FILE).exists() or self._old.version >= self._journal.version

    def run(self, now_ms: int) -> MoveResult:
        """Do everything that is left to do."""
        delivered = 0
        if self._journal is None or self._journal.step in (COPY, VERIFY):
            delivered = self._move(now_ms)
        assert self._journal is not None
        journal = self._journal
        self._point("verified")
        if journal.step == SWITCH:
            self._switch(journal)
        self._clean(journal)
        return MoveResult(journal.before, self._shards, delivered, journal.rows, self._problems)

    def cancel(self) -> None:
        """Give up what is under way. :raises ReshardError: it is too far: only going on leads to a whole directory"""
        if self._journal is None:
            raise ReshardError(f"{self._data}: no resharding is under way")
        if self.is_switching:
            raise ReshardError(
                f"{self._data}: the new data is complete and taking its place; `lanying-cluster reshard` finishes that, "
                "and so does a start"
            )
        for index in self._wanted.peers:
            directory.remove_tree(self._new_path(index, self._journal.version))
        Journal.remove(self._data)

    def _new_path(self, index: int, version: int) -> Path:
        return self._data / f"shard-{index}.reshard-{version}"

    def _old_path(self, index: int, version: int) -> Path:
        return self._data / f"shard-{index}.before-{version}"

    # --- deliver, copy, verify ---------------------------------------------------------------------------------------

    def _move(self, now_ms: int) -> int:
        with directory.opened_tiered(self._data, self._old.shards, self._cold_path) as (databases, sources):
            delivered = drain(sources, self._old, self._config, now_ms, self._progress)
            self._point("delivered")
            journal = self._begin(databases)
            new_map = journal.map
            targets_at = [self._new_path(index, journal.version) for index in self._wanted.peers]
            with directory.opened(targets_at) as targets:
                _Copy(sources, targets, self._old, new_map, journal, self._data, self._progress, self._point).run()
                self._point("copied")
                self._compare(targets, new_map, journal)
                self._check(sources, targets, new_map)
        journal.step = SWITCH
        journal.save(self._data)
        return delivered

    def _begin(self, sources: list[RocksStore]) -> Journal:
        """The journal to go on with: the one that is there if nothing has changed since, or a new one."""
        sequences = [source.sequence() for source in sources]
        journal = self._journal
        if journal is not None and journal.sources == sequences:
            return journal
        version = self._old.version + 1
        for index in self._wanted.peers:
            directory.remove_tree(self._new_path(index, version))
        need_room(self._data, self._old.shards, self._config)
        self._journal = journal = Journal(
            self._old.shards, self._shards, version, sequences, self._wanted.slots, self._keep_old
        )
        journal.save(self._data)
        return journal

    def _compare(self, targets: list[RocksStore], new_map: ShardMap, journal: Journal) -> None:
        advance = self._progress.step("compare", sum(journal.rows.values()))
        found = Journal(journal.before, self._shards, journal.version, [])
        for index, target in enumerate(targets):
            for family in placement.OWNED:
                rows = total = 0
                for key, value in target.scan(family, b"", BEHIND_ALL):
                    if not placement.is_tip(family, key, index, new_map):
                        rows += 1
                        total += row_sum(key, value)
                found.count(family, rows, total)
                advance(rows)
        for family in placement.OWNED:
            if (found.rows[family], found.sums[family]) != (journal.rows.get(family, 0), journal.sums.get(family, 0)):
                raise ReshardError(
                    f"{family}: {journal.rows.get(family, 0)} rows were copied and {found.rows[family]} are there, or "
                    "not the same; the old data is untouched: start over after --cancel, and check the disk"
                )

    def _check(self, sources: list[Store], targets: list[RocksStore], new_map: ShardMap) -> None:
        assert self._journal is not None
        advance = self._progress.step("verify", sum(self._journal.rows.values()))
        problems = [p for index, target in enumerate(targets) for p in verify_store(target, index, new_map, advance)]
        if problems:
            known = {p for index, source in enumerate(sources) for p in verify_store(source, index)}
            fresh = [problem for problem in problems if problem not in known]
            if fresh:
                raise ReshardError(
                    f"the moved data breaks {len(fresh)} invariants, the first: {fresh[0]}; the old data is untouched "
                    "and can be started; give this resharding up with --cancel and report it"
                )
        self._problems = problems

    # --- switch, clean ------------------------------------------------------------------------------------------------

    def _switch(self, journal: Journal) -> None:
        directory.write_file(self._data / SWITCHING_FILE, b"")
        self._point("switching")
        for index in self._old.peers if self._old.version < journal.version else ():
            here, kept = directory.shard_path(self._data, index), self._old_path(index, journal.version)
            if not kept.exists():
                here.rename(kept)
                self._point(f"put away {index}")
        for index in self._wanted.peers:
            new, here = self._new_path(index, journal.version), directory.shard_path(self._data, index)
            if new.exists():
                new.rename(here)
                self._point(f"put in place {index}")
        directory.sync_directory(self._data)
        journal.map.save(self._data)
        directory.sync_directory(self._data)
        self._point("map saved")
        journal.step = CLEAN
        journal.save(self._data)
        self._point("switched")

    def _clean(self, journal: Journal) -> None:
        if (self._data / SWITCHING_FILE).exists():
            self._put_cold_away(journal)
        (self._data / SWITCHING_FILE).unlink(missing_ok=True)
        self._point("cleaning")
        if not (self._keep_old or journal.keep_old):
            for old in self._data.glob(f"shard-*.before-{journal.version}"):
                directory.remove_tree(old)
            if self._cold_path and Path(self._cold_path).is_dir():
                for old in Path(self._cold_path).glob(f"shard-*.before-{journal.version}"):
                    directory.remove_tree(old)
        Journal.remove(self._data)

    def _put_cold_away(self, journal: Journal) -> None:
        """The old cold stores fit no shard any more. While no server can start: it would make new ones in their place."""
        for index in range(journal.before if self._cold_path else 0):
            here = cold_place(self._cold_path, index)
            kept = here.with_name(f"{here.name}.before-{journal.version}")
            if here.exists() and not kept.exists():
                here.rename(kept)
                self._point(f"put cold away {index}")


class _Copy:
    """Rows of all old databases into the new ones."""

    def __init__(
        self,
        sources: list[Store],
        targets: list[RocksStore],
        old_map: ShardMap,
        new_map: ShardMap,
        journal: Journal,
        data: Path,
        progress: ProgressReport,
        point: Point,
    ) -> None:
        self._sources = sources
        self._targets = targets
        self._old_map = old_map
        self._map = new_map
        self._journal = journal
        self._data = data
        self._progress = progress
        self._point = point
        self._batches = [target.batch() for target in targets]
        self._size = 0
        self._copied: dict[str, tuple[int, int]] = {}
        """Rows and sum by family since the journal's last entry."""
        self._notes = 0

    def run(self) -> None:
        journal = self._journal
        if journal.step != COPY:
            return
        advance = self._progress.step("copy", sum(count_rows(source) for source in self._sources))
        advance(sum(journal.rows.values()))
        begin_family, after = journal.family, bytes.fromhex(journal.after)
        for index in range(journal.shard, len(self._sources)):
            first = placement.MOVING.index(begin_family) if begin_family else 0
            for family in placement.MOVING[first:]:
                self._family(index, family, after + b"\0" if after else b"", advance)
                after = b""
            begin_family = ""
        self._meta()
        self._tips()
        self._note(len(self._sources), "", b"", VERIFY)

    def _family(self, index: int, family: str, start: bytes, advance: Callable[[int], None]) -> None:
        rows, total = self._copied.get(family, (0, 0))
        before = rows
        everywhere = placement.PLACES[family] == placement.EVERYWHERE
        for key, value in self._sources[index].scan(family, start, BEHIND_ALL):
            if placement.is_tip(family, key, index, self._old_map):
                continue
            if everywhere:
                for batch in self._batches:
                    batch.put(family, key, value)
            else:
                self._batches[self._map.slots[placement.slot(family, key)]].put(family, key, value)
            rows += 1
            total += row_sum(key, value)
            self._size += len(key) + len(value)
            if self._size > BATCH_BYTES:
                self._write()
            if rows - before >= JOURNAL_EVERY:
                advance(rows - before)
                self._copied[family] = rows, total
                self._note(index, family, key, COPY)
                rows = total = before = 0
        advance(rows - before)
        self._copied[family] = rows, total

    def _write(self) -> None:
        for number, target in enumerate(self._targets):
            if self._batches[number].size:
                target.write(self._batches[number])
                self._batches[number] = target.batch()
        self._size = 0

    def _note(self, index: int, family: str, key: bytes, step: str) -> None:
        """Everything up to here is on stable storage in the new databases, and now in the journal."""
        journal = self._journal
        self._write()
        for target in self._targets:
            target.flush()
        journal.step, journal.shard, journal.family, journal.after = step, index, family, key.hex()
        for counted, (rows, total) in self._copied.items():
            journal.count(counted, rows, total)
        self._copied.clear()
        journal.save(self._data)
        self._notes += 1
        self._point(f"noted {self._notes}")

    def _meta(self) -> None:
        last_id = retained = 0
        for index, source in enumerate(self._sources):
            for key, value in source.scan(schema.META, b"", BEHIND_ALL):
                if key not in KNOWN_META:
                    raise ReshardError(f"shard {index}: written by a newer release (meta {key!r}); upgrade lanying")
                if key == b"last_id":
                    last_id = max(last_id, int.from_bytes(value, "big"))
                elif key == RETAINED:
                    retained = max(retained, int.from_bytes(value, "big"))
        for target in self._targets:
            batch = target.batch()
            batch.put(schema.META, b"last_id", schema.pack_u64(last_id))
            if retained:
                batch.put(schema.META, RETAINED, schema.pack_u64(retained))
            target.write(batch)

    def _tips(self) -> None:
        """Every shard with members of a group that lives elsewhere knows where its timeline ends."""
        self._write()
        for index, target in enumerate(self._targets):
            gids = {key[:8] for key, _ in target.scan(schema.SEATS, b"", BEHIND_ALL)}
            for gid in sorted(gids):
                owner = self._map.shard_of(int.from_bytes(gid, "big"))
                if owner != index:
                    number = int.from_bytes(gid, "big")
                    head = Conversation(number, number, self._targets[owner].get(schema.CONVERSATIONS, gid * 2))
                    mend(head, self._targets[owner])
                    row = schema.CONVERSATION.pack(head.last_seq, head.last_mid, 0, 0, 0)
                    self._batches[index].put(schema.CONVERSATIONS, gid * 2, row)
