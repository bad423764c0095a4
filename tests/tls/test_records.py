"""Record boundaries in bytes that come in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from lanying.tls.records import HEAD_BYTES, Records

KINDS = some.sampled_from([20, 21, 22, 23])
RECORDS = some.lists(some.tuples(KINDS, some.binary(max_size=40)), max_size=8)


def written(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2) + body


@given(RECORDS, some.lists(some.integers(1, 60), min_size=1))
def test_every_record_is_completed_once_whatever_the_pieces(records, sizes):
    data = b"".join(written(*record) for record in records)
    cut = Records()
    found: list[tuple[int, bytes]] = []
    so_far, at = b"", 0
    for turn in range(len(data) + 1):
        size = sizes[turn % len(sizes)]
        for piece, kind in cut.split(data[at : at + size]):
            so_far += piece
            if kind:
                found.append((kind, so_far))
                so_far = b""
        at += size
        if at >= len(data):
            break
    assert found == [(kind, written(kind, body)) for kind, body in records]
    assert cut.missing == 0 and not so_far


@given(some.binary(min_size=1, max_size=40))
def test_who_reads_what_is_missing_comes_to_the_end_of_the_record(body):
    record, follows = written(23, body), b"\x17\x03"
    for begun in range(1, len(record)):
        cut = Records()
        list(cut.split(record[:begun]))
        read = begun
        while cut.missing:
            missing = cut.missing
            list(cut.split((record + follows)[read : read + missing]))
            read += missing
        assert read == len(record)


def test_of_a_head_that_has_begun_only_the_rest_of_it_is_known_to_be_missing():
    cut = Records()
    assert list(cut.split(b"\x17\x03")) == [(b"\x17\x03", 0)]
    assert cut.missing == HEAD_BYTES - 2
