"""What a message costs where the machine does not matter, and the profile's arithmetic."""

from __future__ import annotations

from bench import counts, profile
from bench.compare import Row


def test_counts_are_the_same_every_time_and_within_the_limits() -> None:
    first = counts.count()
    assert first == counts.count()
    assert not counts.exceeded(first), "bench/counts.json: a message costs more than before"
    assert first["cross_burst_writes"] < first["cross_alone_writes"]


def test_a_count_above_its_limit_is_named() -> None:
    known = counts.limits()
    worse = {name: value * 1.2 + 1 for name, value in known.items()}
    assert set(counts.exceeded(worse)) == set(known)


def test_shares_of_stacks() -> None:
    stacks = profile.parse(
        "process 1;thread (2);main (/x/lanying/shard/__main__.py:9);work (/x/lanying/a.py:5) 3\n"
        "main (/x/lanying/shard/__main__.py:9);work (/x/lanying/a.py:6) 1\nnot a stack\n"
    )
    assert stacks.own() == [("work (lanying/a.py)", 1.0)]
    assert stacks.own(lines=True)[0] == ("work (lanying/a.py:5)", 0.75)
    assert ("main (lanying/shard/__main__.py)", 1.0) in stacks.inclusive()
    assert stacks.steps() == [("event loop, and waiting for a core", 1.0)]
    drawn = profile.flame_graph(stacks, "a < b")
    assert drawn.startswith("<svg") and "a &lt; b" in drawn and drawn.count("<rect") == 3


def test_a_sample_belongs_to_the_innermost_step() -> None:
    upload = "Sockets.readable (r.py:1);Frames.received (s.py:2);Delivery.upload (d.py:3);RocksBatch.put (b.py:4)"
    stacks = profile.parse(f"main (m.py:1);{upload} 3\nThread.run (t.py:1) 1\n")
    assert stacks.steps() == [("upload: check, id, stored form, rows, acknowledgement", 0.75), ("other threads", 0.25)]


def test_a_difference_is_clear_when_the_runs_do_not_overlap() -> None:
    assert Row("x", [10, 11], [12, 13]).clear
    assert not Row("x", [10, 12], [11, 13]).clear
    assert abs(Row("x", [10, 10], [11, 11]).change - 0.1) < 1e-9
