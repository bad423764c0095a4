"""How far each device of a user is with a message."""

from __future__ import annotations

from lanying.base import limits
from lanying.shard.chat.progress import progress
from lanying.testing.simulation import Device, Simulation


def states(device: Device, peer: int) -> dict[int, str]:
    work = device.user.shard.work
    head = work.mailboxes.head(device.user.uid, peer)
    return dict(progress(work, head, head.last_seq))


def test_a_device_waits_is_sent_acknowledges_and_is_away() -> None:
    sim = Simulation(2)
    ann, writer = sim.user("ann"), sim.user("writer").device()
    reads, holds, full, away = (
        ann.device(guid, automatic=guid == "reads") for guid in ("reads", "holds", "full", "away")
    )
    away.leave()
    full.session.unsent = b"x" * (limits.OUT_SOFT_BYTES + 1)
    writer.send(ann, "x")
    peer = writer.user.uid
    assert states(reads, peer) == {
        reads.sn: "acknowledged",
        holds.sn: "sent",
        full.sn: "waiting",
        away.sn: "offline",
    }
    holds.pull(peer, ann.shard.work.mailboxes.head(ann.uid, peer).last_seq)
    assert states(reads, peer)[holds.sn] == "acknowledged"
    reads.leave()
    assert states(reads, peer)[reads.sn] == "acknowledged", "what it has it has"
    writer.send(ann, "y")
    assert states(reads, peer)[reads.sn] == "offline"
