"""Every command, with every path that it takes, and everything that a path may be instead of what it should be."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from lanying.admin.console import cli as console
from lanying.admin.console import local
from lanying.cli import main as cluster
from lanying.storage import directory
from lanying.storage.backup import Backup
from lanying.testing.simulation import START_MS
from tests.storage import town

NOBODY = 65534


def _file(place: Path) -> None:
    place.write_text("not what you think")


def _foreign(place: Path) -> None:
    (place / "run").mkdir(parents=True)
    (place / "thesis.doc").write_text("x")
    (place / "run" / "marathon.gpx").write_text("x")


def _link(place: Path) -> None:
    place.symlink_to(place.parent / "gone")


def _loop(place: Path) -> None:
    place.symlink_to(place)


def _closed(place: Path) -> None:
    place.mkdir(mode=0o000)


def _closed_file(place: Path) -> None:
    place.write_text("x")
    place.chmod(0)


WRONG: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a file": ("place", _file),
    "below a file": ("place/below", lambda place: place.parent.write_text("x")),
    "missing": ("missing/far/away", lambda place: None),
    "somebody else's": ("place", _foreign),
    "a dangling link": ("place", _link),
    "a circle of links": ("place", _loop),
    "too long": ("x" * 300, lambda place: None),
    "closed": ("place", _closed),
    "below what is closed": ("place/below", lambda place: _closed(place.parent)),
    "a closed file": ("place", _closed_file),
}

Path_ = tuple[str, ...]
"""A command's words, and the parameter."""

ELSE: dict[Path_, tuple[str, ...]] = {
    ("backup", "create"): ("--data", "{data}", "{new}"),
    ("backup", "verify"): ("{backup}",),
    ("restore",): ("--data", "{new}", "{backup}"),
    ("reshard",): ("--data", "{data}", "--shards", "2"),
    ("verify",): ("--data", "{data}"),
    ("forget-cold",): ("--data", "{data}", "--yes"),
    ("notifier", "add"): (
        "--data",
        "{data}",
        "--provider",
        "apns",
        "--app-id",
        "a",
        "--app-key",
        "k",
        "--team-id",
        "t",
        "name",
    ),
    ("notifier", "test"): ("--data", "{data}", "--token", "t", "name"),
    ("notifier", "list"): ("--data", "{data}"),
    ("notifier", "remove"): ("--data", "{data}", "name"),
    ("start",): ("--listen", "nosuchhost.invalid:1"),
    ("check-config",): ("--data", "{data}"),
    ("install-service",): ("--root", "{new}"),
    ("uninstall-service",): ("--root", "{new}"),
    ("keygen",): ("--data", "{data}", "laptop"),
    ("keys", "list"): ("--data", "{data}"),
    ("keys", "remove"): ("--data", "{data}", "laptop"),
    ("context", "add"): ("--server", "host:1", "school"),
}
"""What a command needs besides; the path that is wrong comes instead of the same option or argument here."""
TAKEN = {
    ("backup create", "destination"): {"missing", "a dangling link"},
    ("restore", "data"): {"missing", "a dangling link"},
    ("install-service", "root"): {"somebody else's"},
    ("keygen", "out"): {"a dangling link", "a circle of links"},
    ("check-config", "data"): {"missing", "a dangling link"},
    ("install-service", "file"): set(WRONG) - {"closed", "a closed file"},
    ("uninstall-service", "file"): set(WRONG),
    ("context add", "data"): set(WRONG),
}
"""Paths that do not have to be there: made, kept for later, or only named."""


def _takes_path(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, click.Path) or parameter.metavar in ("DIR", "FILE")


def _found(command: click.Command, words: Path_ = ()) -> Iterator[tuple[Path_, click.Parameter]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _found(inner, (*words, name))
    else:
        for parameter in command.params:
            if _takes_path(parameter):
                yield words, parameter


def _local_console() -> click.Group:
    return click.Group(commands=list(local.COMMANDS))


CASES = [*_found(cluster.cli), *_found(_local_console())]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    town.found(place / "data", 1)
    with town.running(place / "data"):
        pass
    Backup(place / "data", place / "backup").run(START_MS)
    return place


@pytest.fixture
def place(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("data", "backup"):
        shutil.copytree(built / name, tmp_path / name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for path in sorted(tmp_path.glob("*")):
        if not path.is_symlink():
            path.chmod(0o700)


def _as_nobody(place: Path) -> Callable[[], None]:
    """Root may do anything, so the command runs as somebody else; what gives root back."""
    if os.getuid():
        return lambda: None
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    opened = [above for above in place.parents if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001]
    modes = [(above, above.stat().st_mode) for above in opened]
    for above, mode in modes:
        above.chmod(mode | 0o011)
    os.setresuid(NOBODY, NOBODY, 0)

    def back() -> None:
        os.setresuid(0, 0, 0)
        for above, mode in modes:
            above.chmod(mode)

    return back


def _arguments(words: Path_, parameter: click.Parameter, wrong: Path, place: Path) -> list[str]:
    known = {name: str(place / name) for name in ("data", "backup", "new")}
    given = [word.format(**known) for word in ELSE.get(words, ())]
    if isinstance(parameter, click.Argument):
        return [*words, *given[:-1], str(wrong)]
    option = parameter.opts[0]
    if option in given:
        at = given.index(option)
        del given[at : at + 2]
    return [*words, option, str(wrong), *given]


def _run(words: Path_, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    if words[0] in _local_console().commands:
        return console.run(console.cli, arguments)
    monkeypatch.setattr(sys, "argv", ["lanying-cluster", *arguments])
    try:
        cluster.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def test_every_path_is_found() -> None:
    assert len(CASES) > 40 and {len(words) for words, _ in CASES} == {1, 2}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(("words", "parameter"), CASES, ids=[f"{' '.join(words)} {it.name}" for words, it in CASES])
def test_a_path_that_is_wrong_gets_an_error_with_the_remedy(
    words: Path_,
    parameter: click.Parameter,
    kind: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if words == ("crash-test",) and kind in ("somebody else's",):
        pytest.skip("a directory of somebody else is a good place for a private server")
    name, make = WRONG[kind]
    wrong = place / name
    make(wrong)
    before = {path: path.lstat().st_mode for path in place.glob("place/**/*")}
    arguments = _arguments(words, parameter, wrong, place)
    back = _as_nobody(place)
    try:
        code = _run(words, arguments, monkeypatch)
    finally:
        back()
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert code in cluster.EXIT_CODES
    may_work = kind in TAKEN.get((" ".join(words), str(parameter.name)), ())
    assert code or may_work, f"taken: {arguments}"
    if code:
        assert "; " in said or "`" in said or "Usage:" in said, f"no remedy: {said}"
        assert before == {path: path.lstat().st_mode for path in place.glob("place/**/*")}, "left alone"


def test_the_data_that_the_cases_use_is_good(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they could be refused for another reason than the path."""
    for words in ELSE:
        if words not in (("notifier", "add"), ("notifier", "test"), ("notifier", "remove"), ("start",)):
            new = str(place / f"new-{'-'.join(words)}")
            known = {"data": str(place / "data"), "backup": str(place / "backup"), "new": new}
            Path(new).mkdir()
            if words in (("keys", "remove"), ("context", "add"), ("uninstall-service",)):
                continue
            assert _run(words, [*words, *(word.format(**known) for word in ELSE[words])], monkeypatch) == 0, words
    assert directory.need_map(place / "data").shards == 2
