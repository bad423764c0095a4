"""The files of a server as the admin process sees them."""

from pathlib import Path

from lanying.admin import keys
from lanying.admin.files import ServerFiles
from lanying.base.clock import wall_ms
from lanying.config.notifiers import Notifiers, Secret
from lanying.supervisor.move import DONE, Move


def test_the_audit_log_is_read_page_by_page_and_verified_to_its_end(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    assert files.entries(0, 10) == [] and files.verify_audit()[0] == 0
    for number in range(5):
        files.audit.append(wall_ms(), "night", f"command {number}", {}, "done")
    files.audit.close()
    assert [(line, entry and entry.command) for line, entry in files.entries(3, 10)] == [
        (4, "command 3"),
        (5, "command 4"),
    ]
    assert [line for line, _ in files.entries(1, 2)] == [2, 3]
    assert files.verify_audit() == (5, files.audit.last, "")
    lines = (tmp_path / "audit.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "audit.log").write_bytes(b"".join(lines[:-1]))
    assert "the end was cut off" in files.verify_audit()[2]


def test_keys_that_come_are_noticed_and_in_the_ring(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    assert files.ring().consoles == ()
    watch = files.watch_keys()
    watch.look()
    keys.add(tmp_path, "night", keys.Role.READ)
    change = watch.look()
    assert change is not None and list(change.added) == ["night"]
    assert [console.name for console in files.ring().consoles] == ["night"]


def test_the_last_move_is_the_one_that_was_kept(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    assert files.last_move() is None
    move = Move("drain shard 1", "night", "shards drain", 1, (0, 0), 1, 1000, 5)
    files.keep_move(move)
    files.keep_move(move.become(DONE, "1 slot"))
    assert files.last_move() == move.become(DONE, "1 slot")


def test_flushes_are_measured_beside_the_data_and_leave_nothing(tmp_path: Path) -> None:
    took = ServerFiles(tmp_path).measure_flushes(3)
    assert len(took) == 3 and all(value > 0 for value in took) and list(tmp_path.iterdir()) == []


def test_what_the_doctor_looks_at(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    total, used, free = files.disk_usage()
    assert total >= used > 0 and free > 0 and str(files) == str(tmp_path)
    assert not files.has_notifier()
    Notifiers(tmp_path).put("lanying", "google", 7, 1, "", Secret())
    assert files.has_notifier()
