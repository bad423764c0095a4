"""Text files that people hand us are taken as their editors write them, and all of them are read in one place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import lanying
from lanying.admin import keys
from lanying.admin.console import contexts
from lanying.admin.console.client import read_ticket
from lanying.admin.keys import Role
from lanying.base import texts, words
from lanying.base.errors import ConfigError
from lanying.config import apps
from lanying.config import load as config_load
from lanying.config.notifiers import Notifier, Notifiers

BOM = b"\xef\xbb\xbf"
PRODUCT = Path(lanying.__file__).parent


@pytest.mark.parametrize(
    "written",
    [b"one\ntwo\n", BOM + b"one\ntwo\n", b"one\r\ntwo\r\n", BOM + b"one\r\ntwo\r\n", b"one\rtwo\r"],
    ids=["plain", "mark", "CR LF", "Notepad", "CR"],
)
def test_what_editors_write(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "file").write_bytes(written)
    assert texts.read(tmp_path / "file", "") == "one\ntwo\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_called_by_their_name(encoding: str) -> None:
    with pytest.raises(ConfigError, match=rf"list.txt: is {encoding[:6].upper()}.*UTF-8 \(in Notepad"):
        texts.decode("listen = 1\n".encode(encoding), Path("list.txt"))


def test_a_line_that_is_not_text_is_named() -> None:
    with pytest.raises(ConfigError, match="line 3 is not UTF-8"):
        texts.decode("a\nb\nGrüße\n".encode("latin-1"), Path("list.txt"))


def _missing(place: Path) -> None: ...


def _directory(place: Path) -> None:
    place.mkdir()


def _dangling(place: Path) -> None:
    place.symlink_to(place.parent / "gone")


def _loop(place: Path) -> None:
    place.symlink_to(place)


def _endless(place: Path) -> None:
    place.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_missing, "No such file"),
        (_directory, "Is a directory"),
        (_dangling, "is a link to .*gone, which is not there"),
        (_loop, "symbolic links"),
        (_endless, "over 16 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    place = tmp_path / "file"
    make(place)
    with pytest.raises(ConfigError, match=rf"{place}: .*{said}.*; try another"):
        texts.read(place, "try another")


@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "file/below"])
def test_a_name_that_cannot_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="; try another"):
        texts.read(tmp_path / name, "try another")


def _notepad(file: Path) -> None:
    file.write_bytes(BOM + file.read_bytes().replace(b"\n", b"\r\n"))


def _config(place: Path) -> object:
    file = place / "lanying.toml"
    file.write_text("# Grüße\nlisten = '0.0.0.0:1'\n[policy]\nrecall_seconds = 5\n", "utf-8")
    _notepad(file)
    return config_load.load(file, {}).policy.recall_seconds == 5


def _words(place: Path) -> object:
    file = place / "words.txt"
    file.write_text("schlimm\n# nothing\nböse\n", "utf-8")
    _notepad(file)
    return words.read(str(file)) == ["schlimm", "böse"]


def _apps(place: Path) -> object:
    apps.save(place, [apps.new("one", "Eins"), apps.new("two", "Zwei")])
    _notepad(place / apps.FILE)
    return [app.name for app in apps.load(place)] == ["Eins", "Zwei"]


def _notifiers(place: Path) -> object:
    file = place / "notifiers.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode([Notifier("app", "name", 1, 0, "id", "")])))
    _notepad(file)
    return [it.name for it in Notifiers(place).of("app")] == ["name"]


def _console(place: Path) -> object:
    ticket = keys.add(place, "laptop", Role.READ)
    file = place / "laptop.key"
    file.write_bytes(msgspec.json.encode(ticket))
    _notepad(file)
    _notepad(place / keys.FILE)
    return read_ticket(file) == ticket and [one.name for one in keys.load(place).consoles] == ["laptop"]


def _contexts(place: Path) -> object:
    contexts.save(contexts.Contexts("school", {"school": contexts.Context(data="/data")}))
    _notepad(contexts.file())
    return contexts.load().current == "school"


@pytest.mark.parametrize("reader", [_config, _words, _apps, _notifiers, _console, _contexts])
def test_every_file_may_come_from_notepad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert reader(tmp_path)


OTHERS = {
    "base/texts.py": "the reader",
    "base/failpoints.py": "written by tests",
    "base/private.py": "writes",
    "config/profiles.py": "of the kernel",
    "config/notifiers.py": "the key, which only this program writes: a mended one would open nothing",
    "cli/trust.py": "the authority, which only this program writes",
    "cli/unit.py": "of the package",
    "gateway/contract/contract.py": "of the package",
    "gateway/http/pages.py": "of the package",
    "gateway/http/trust.py": "of the package; the authority and proofs, which only this program writes",
    "gateway/services/decoder.py": "uploads",
    "gateway/services/objects.py": "uploads",
    "admin/audit.py": "only this program writes it, its hash chain says so",
    "admin/keys.py": "admin-keys.seen, which only this program writes",
    "admin/commands/certificate.py": "of the kernel; certificates, which are no text: what is none of them is named as that",
    "admin/commands/patient.py": "of the kernel",
    "client/client.py": "the device name, which only this program writes",
    "cluster/runtime.py": "cold-path, which only this program writes",
    "cluster/shardmap.py": "only this program writes it",
    "push/vendors/sender.py": "writes",
    "storage/backup.py": "databases",
    "storage/journal.py": "only this program writes it",
    "storage/manifest.py": "only this program writes it, its seal says so",
    "storage/snapshot.py": "databases",
    "tls/acme.py": "only this program writes it",
    "tls/authority.py": "only this program writes it",
    "supervisor/fork_server.py": "a pipe of the supervisor",
    "supervisor/forking.py": "a pipe to a child",
    "supervisor/daemon.py": "its own log",
    "supervisor/machine.py": "of the kernel",
    "supervisor/move.py": "only this program writes it",
}
"""Modules that read or write files otherwise, and which: none that a person writes."""
_READS = {"read_text", "read_bytes", "open", "fdopen"}


def _is_mode(call: ast.Call) -> bool:
    """Is it ``path.open()`` or ``path.open("rb")``, and not another thing that opens?"""
    return all(isinstance(it, ast.Constant) and isinstance(it.value, str) for it in call.args)


def _reads_files(module: Path) -> bool:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in ("open", "File"):
                return True
            if isinstance(called, ast.Attribute) and called.attr in _READS:
                owner = called.value.id if isinstance(called.value, ast.Name) else ""
                if owner in ("texts", "self") or (called.attr == "open" and not _is_mode(node)):
                    continue
                return True
    return False


def test_no_other_module_reads_files_of_people() -> None:
    found = {
        str(module.relative_to(PRODUCT))
        for module in PRODUCT.rglob("*.py")
        if "testing" not in module.parts and _reads_files(module)
    }
    assert found - OTHERS.keys() == set(), (
        "read files of people with lanying.base.texts; name others above with the reason"
    )
    assert OTHERS.keys() - found == set(), "no longer"
