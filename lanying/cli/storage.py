"""``lanying-cluster backup``, ``restore``, ``reshard``, ``verify``, ``forget-cold``: work on a data directory as a whole.

Progress goes to standard error, the result to standard output: a sentence, or one JSON object with ``--json``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from lanying.base import clock
from lanying.cluster.runtime import cold_path
from lanying.cluster.shardmap import wanted_map
from lanying.config.apps import TOKEN_FILE
from lanying.config.load import load
from lanying.supervisor.datadir import DataDirectory

if TYPE_CHECKING:
    from lanying.storage.manifest import Manifest
    from lanying.storage.progress import ProgressReport

EXIT_PROBLEMS = 1
"""Verification found something."""
_PATH = click.Path(path_type=Path)
_config = click.option("--config", "file", type=_PATH, help="TOML file; see docs/configuration.md.")
_data = click.option("--data", metavar="DIR", help="Data directory (default ./data).")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a sentence; no progress.")


class _DestinationFirst(click.Group):
    """``backup DEST`` is short for ``backup create DEST``."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in self.commands:
            arguments = ["create", *arguments]
        return super().resolve_command(context, arguments)

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help"):
            arguments = ["create", *arguments]
        return super().parse_args(context, arguments)


@click.group(cls=_DestinationFirst, short_help="Back up, and verify backups.")
def backup() -> None:
    """Back a data directory up into DEST, while the server runs or not; again into the same DEST, only what is new is
    copied. `backup DEST` is short for `backup create DEST`."""


@backup.command("create", short_help="Back up into DEST.")
@_config
@_data
@_json
@click.option("--without-cold", is_flag=True, help="Leave out what is in the cold store (storage.cold_path).")
@click.argument("destination", metavar="DEST", type=_PATH)
def backup_create(file: Path | None, data: str | None, as_json: bool, without_cold: bool, destination: Path) -> None:
    """Back up into DEST: a new or empty directory, or one with an older backup, which it replaces when it is complete."""
    from lanying.storage.backup import Backup

    with _progress(as_json) as progress:
        place = _place(file, data)
        cold = "" if without_cold else cold_path(place, load(file).storage.cold_path)
        work = Backup(place, destination, config_file=file, cold_path=cold, progress=progress)
        done = work.run(clock.wall_ms())
    how = f"online, shards paused for {done.held_s * 1000:.0f} ms" if done.online else "the server was not running"
    mended = f"; {done.mended} damaged files of the backup were replaced, is its disk failing?" if done.mended else ""
    _tell(as_json, done._asdict(), f"backed up {done.size:,} bytes, {done.copied_bytes:,} of them new ({how}){mended}")


@backup.command("verify", short_help="Verify a backup.")
@_json
@click.argument("destination", metavar="DEST", type=_PATH)
def backup_verify(as_json: bool, destination: Path) -> None:
    """Read all of a backup: hashes, databases and their invariants. Exits 0 only when everything is well."""
    from lanying.storage.check import check

    with _progress(as_json) as progress:
        found = check(destination, progress)
    counted = f"{found.files} files, {found.size:,} bytes, {found.rows:,} rows"
    _tell(as_json, found._asdict(), counted, found.problems, found.remedy)


@click.command(short_help="Make a data directory of a backup.")
@_config
@_data
@_json
@click.option(
    "--keep-sessions",
    is_flag=True,
    help="Tokens of before the backup stay good, also those that were revoked after it; phones get pushes without a login.",
)
@click.argument("source", metavar="SRC", type=_PATH)
def restore(file: Path | None, data: str | None, as_json: bool, keep_sessions: bool, source: Path) -> None:
    """Restore the backup in SRC into the data directory, which must be new or empty. Every file is checked on the way.

    Everybody has to log in again, and the admin token is a new one: tokens given out after the backup must not come to
    speak for others. Accounts, passwords, bans and memberships are as they were when the backup was made.
    """
    from lanying.storage.restore import restore as run

    place = _place(file, data)
    cold = load(file).storage.cold_path
    with _progress(as_json) as progress:
        done = run(source, place, clock.wall_ms(), cold_path=cold, keep_sessions=keep_sessions, progress=progress)
    result = {"files": len(done.files), "size": done.size, "created_ms": done.created_ms, "data": str(place)}
    _tell(as_json, result | {"tokens_ended": not keep_sessions}, _restored(done, place, keep_sessions))


def _restored(done: Manifest, place: Path, keep_sessions: bool) -> str:
    made = datetime.fromtimestamp(done.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    tokens = (
        "tokens of before are good again, also those that were revoked or whose accounts were deleted after the backup; "
        "restore without --keep-sessions to end them"
        if keep_sessions
        else f"all tokens have ended: everybody logs in again, the new admin token is in {place / TOKEN_FILE}, "
        "and pushes go to a phone again when it has logged in"
    )
    return (
        f"restored {done.size:,} bytes into {place}; start with --shards {done.shards} or none\n"
        f"{tokens}\n"
        "ids go on far above those of the backup: none that was given out after it is given out again\n"
        f"everything is as it was at {made}: accounts that were deleted, passwords that were changed, bans and memberships "
        "that ended since are back; change again what has to be"
    )


@click.command(short_help="Move the data to other shards.")
@_config
@_data
@_json
@click.option("--shards", type=int, metavar="M", help="This many, with the slots dealt out evenly.")
@click.option("--slots", metavar="LIST", help="Only these slots, like 0-99,512; they go to the shard of --to.")
@click.option("--to", type=int, metavar="SHARD", help="Where --slots go.")
@click.option("--drain", type=int, metavar="SHARD", help="This shard's slots go to the others.")
@click.option("--keep-old", is_flag=True, help="Leave the old directories (shard-N.before-VERSION).")
@click.option("--cancel", is_flag=True, help="Give up an interrupted one; not any more once it exchanges directories.")
def reshard(
    file: Path | None,
    data: str | None,
    as_json: bool,
    shards: int | None,
    slots: str | None,
    to: int | None,
    drain: int | None,
    keep_old: bool,
    cancel: bool,
) -> None:
    """Move the data of a stopped server: to M shards, some slots to a shard, or everything away from a shard. An
    interrupted run goes on with `reshard` alone; until it exchanges directories at the end the old data can be started
    as ever. Needs as much free room as the data takes. `lanying-admin shards move` does the same to a running server."""
    from lanying.storage.directory import need_map
    from lanying.storage.reshard import Reshard

    place = _place(file, data)
    with _locked(place), _progress(as_json) as progress:
        wanted = wanted_map(need_map(place), shards, slots, to, drain)
        work = Reshard(place, wanted, load(file), progress=progress, keep_old=keep_old)
        if cancel:
            work.cancel()
        else:
            done = work.run(clock.wall_ms())
    if cancel:
        _tell(as_json, {"cancelled": True}, "cancelled; the data is as it was")
        return
    moved = sum(done.rows.values())
    _tell(as_json, done._asdict(), f"moved {moved:,} rows from {done.before} to {done.after} shards")


@click.command(short_help="Check the invariants of the data.")
@_config
@_data
@_json
def verify(file: Path | None, data: str | None, as_json: bool) -> None:
    """Check the invariants of a stopped server's data without changing anything. Exits 0 only when everything is well."""
    import tempfile

    from lanying.storage.check import verify_data

    place = _place(file, data)
    with _locked(place), _progress(as_json) as progress, tempfile.TemporaryDirectory() as logs:
        cold = cold_path(place, load(file).storage.cold_path)
        rows, problems = verify_data(place, Path(logs), progress, cold)
    _tell(as_json, {"rows": rows, "problems": problems}, f"{rows:,} rows", problems)


@click.command("forget-cold", short_help="Give up cold stores whose disk is lost.")
@_config
@_data
@_json
@click.option("--yes", is_flag=True, required=True, help="The disk will not come back.")
def forget_cold(file: Path | None, data: str | None, as_json: bool, yes: bool) -> None:
    """Delete what a stopped server's data says about messages in cold stores that are lost. New ones begin with the
    next start. There is no way back: restore a backup instead if there is one with the cold stores."""
    from lanying.storage.forget_cold import forget_cold as run

    place = _place(file, data)
    with _locked(place), _progress(as_json) as progress:
        gone = run(place, progress)
    _tell(as_json, {"gone": gone}, f"{gone:,} entries in cold stores are given up")


COMMANDS: tuple[click.Command, ...] = (backup, restore, reshard, verify, forget_cold)


def _place(file: Path | None, data: str | None) -> Path:
    return Path(load(file, flags={"data": data}).data)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """The server is stopped and stays so."""
    from lanying.storage.directory import need_map

    need_map(place)
    lock = DataDirectory(place)
    try:
        yield
    finally:
        lock.close()


@contextmanager
def _progress(silent: bool) -> Iterator[ProgressReport]:
    from lanying.storage.progress import Bars, Silent

    if silent:
        yield Silent()
    else:
        with Bars() as bars:
            yield bars


def _tell(
    as_json: bool, result: dict[str, Any], sentence: str, problems: list[str] | None = None, remedy: str = ""
) -> None:
    echo: Callable[[Any], None] = click.echo
    if as_json:
        echo(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        echo(sentence if problems is None else f"{sentence}: {len(problems) or 'no'} problems")
        for problem in problems or ():
            click.echo(f"  {problem}", err=True)
        if remedy:
            click.echo(remedy, err=True)
    if problems:
        sys.exit(EXIT_PROBLEMS)
