"""Frames of clients: what each asks for (xsync 4). Pure.

A frame is one event. If the server fails on it, nothing of it is left, its client gets a refusal and its connection is closed: the others
go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lanying.protocol import frame
from lanying.protocol.frame import FrameError, parse_frame
from lanying.protocol.schema.xsync_pb2 import Frame, Provision, Status, SyncUL
from lanying.shard.accounts.logins import Logins
from lanying.shard.chat import door
from lanying.shard.chat.delivery import Delivery
from lanying.shard.chat.pulls import Pulls
from lanying.shard.core.session import Session
from lanying.shard.core.tick import Mark
from lanying.shard.core.work import Work

SYNC, UNREAD, PROVISION = Frame.SYNC, Frame.UNREAD, Frame.PROVISION
FAILED: Final = "the server failed on this, its log says why"


class Frames:
    """What the sessions of a shard send.

    :ivar watch: port of the inspection: looks at every frame while somebody is traced
    """

    def __init__(self, work: Work, logins: Logins, delivery: Delivery, pulls: Pulls) -> None:
        self._work = work
        self._logins = logins
        self._delivery = delivery
        self._pulls = pulls
        self.watch: Callable[[Session, bytes], None] | None = None

    def received(self, session: Session, data: bytes) -> None:
        """A frame of a client."""
        if session.left:
            return
        if self.watch is not None:
            self.watch(session, data)
        work = self._work
        mark = work.tick.mark()
        try:
            command, payload = parse_frame(data)
            if command == SYNC:
                self._sync(session, payload, mark)
            elif command == UNREAD:
                work.tick.unreads.append(session)
            elif command == PROVISION:
                self._provision_again(session, payload)
            else:
                raise FrameError(Status.UNKNOWN_COMMAND, f"command {command} is not for the server")
            if work.local:
                work.apply_local()
        except FrameError as error:
            work.refused += 1
            work.refusals[error.status_code] += 1
            work.tick.send(session, frame.refusal(0, error.status_code, error.reason))
        except Exception as error:  # noqa: BLE001 - whatever it was, only this connection ends
            work.take_back(mark)
            work.failed(error, "frame")
            work.event(self.give_up, session)

    def give_up(self, session: Session) -> None:
        """The server failed on a session: it ends, its client may come back."""
        tick = self._work.tick
        tick.send(session, frame.refusal(0, Status.FAIL, FAILED))
        self._logins.left(session, "server_failed")
        tick.closing.append(session)

    def _sync(self, session: Session, payload: bytes, mark: Mark) -> None:
        try:
            sync = SyncUL.FromString(payload)
        except Exception as error:
            raise FrameError(Status.PB_PARSER_ERROR, "payload is not a SyncUL") from error
        if sync.HasField("meta"):
            self._delivery.upload(session, sync.meta, mark)
        elif sync.key > door.LARGEST_ID or sync.xid.uid > door.LARGEST_ID:
            raise FrameError(Status.INVALID_PARAMETER, f"ids and keys are at most {door.LARGEST_ID}")
        elif sync.is_full_sync:
            self._work.tick.histories.append((session, sync.xid.uid, sync.key, sync.full_sync_num))
        else:
            self._pulls.pull(session, sync.xid.uid, sync.key)

    def _provision_again(self, session: Session, payload: bytes) -> None:
        try:
            wanted = Provision.FromString(payload).xid.uid
        except Exception as error:
            raise FrameError(Status.PB_PARSER_ERROR, "payload is not a Provision") from error
        tick = self._work.tick
        if wanted == session.uid:
            tick.send(session, frame.provision_ok(session.uid, session.sn))
        else:
            reason = "this connection is logged in, open another one for another user"
            tick.send(session, frame.provision_refused(Status.FAIL, reason, wanted))
