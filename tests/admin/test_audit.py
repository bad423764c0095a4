"""The hash chain: whatever is done to the file behind the server's back is seen."""

import pytest

from lanying.admin import audit
from lanying.admin.audit import Audit


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.log"
    found = Audit(path)
    for number in range(5):
        found.append(number, "local", "users ban", {"user": f"u{number}"}, "done")
    found.close()
    return path


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def test_a_whole_log(log):
    good, last, wrong = audit.verify(log)
    assert (good, wrong) == (5, "") and last == audit.last_hash(log)


def test_it_goes_on_after_a_restart(log):
    again = Audit(log)
    again.append(6, "local", "compact", {}, "done")
    assert audit.verify(log)[0] == 6


def test_an_empty_log(tmp_path):
    assert audit.verify(tmp_path / "none") == (0, audit.FIRST, "")


@pytest.mark.parametrize(
    ("change", "good", "says"),
    [
        (lambda rows: [*rows[:2], rows[2].replace(b"u2", b"u9"), *rows[3:]], 2, "line 3 was changed"),
        (lambda rows: [*rows[:2], *rows[3:]], 2, "line 3 does not continue line 2"),
        (lambda rows: [rows[0], rows[0], *rows[1:]], 1, "line 2 does not continue line 1"),
        (lambda rows: [*rows[:4], rows[4][:20]], 4, "line 5 is not an entry"),
        (lambda rows: [b"hello\n", *rows], 0, "line 1 is not an entry"),
    ],
)
def test_tampering_is_seen_where_it_begins(log, change, good, says):
    log.write_bytes(b"".join(change(lines(log))))
    found, _, wrong = audit.verify(log)
    assert found == good and says in wrong


def test_a_line_cut_short_by_a_crash_does_not_stop_the_next_ones(log):
    log.write_bytes(b"".join(lines(log))[:-10])
    again = Audit(log)
    again.append(9, "local", "compact", {}, "done")
    again.close()
    assert audit.verify(log)[2].startswith("line 5")


def test_after_a_line_that_a_crash_cut_short_the_next_one_is_whole(log):
    log.write_bytes(log.read_bytes() + b'{"time":5,"who":"lo')
    again = Audit(log)
    again.append(7, "local", "compact", {}, "done")
    again.close()
    *_, cut, last = (entry for _, entry in audit.read(log))
    assert cut is None and last.command == "compact" and last.hash == audit.last_hash(log)
    assert "line 6 is not an entry" in audit.verify(log)[2]


def test_a_writer_sees_its_end_cut_off_and_does_not_write_into_a_removed_file(log):
    writer = Audit(log)
    writer.append(6, "local", "compact", {}, "done")
    assert audit.verify(log, writer.last)[2] == ""
    cut = log.with_name("cut")
    cut.write_bytes(b"".join(lines(log)[:2]))
    cut.replace(log)  # whole by itself, and another file
    assert audit.verify(log)[2] == "" and "cut off" in audit.verify(log, writer.last)[2]
    writer.append(7, "local", "users ban", {"user": "eve"}, "done")
    assert lines(log)[-1].count(b"eve") == 1
    assert audit.verify(log)[::2] == (2, "line 3 does not continue line 2: lines were removed or inserted")
    log.unlink()
    writer.append(8, "local", "compact", {}, "done")
    assert "line 1 does not continue" in audit.verify(log)[2]
    writer.close()
