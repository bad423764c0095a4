"""What the admin page asks of this process, through the gateway: start a backup, see how far it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import msgspec

from lanying.admin.commands import backups
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.keys import Role
from lanying.admin.server import Server
from lanying.base.refusals import Refusal
from lanying.bus.messages import Call, JobInfo, JobState, Reply, StartBackup, decode_admin_request

log = logging.getLogger(__name__)

WHO: Final = "web"
"""In jobs and in the audit log. The gateway has checked that the token is one of an admin of the first app."""


def answer(server: Server, call: Call) -> Reply:
    """The reply to a call of the gateway."""
    try:
        request = decode_admin_request(call.body)
        found = _start(server, request) if isinstance(request, StartBackup) else _jobs(server)
    except CommandError as error:
        return Reply(call.id, Refusal.of_code(error.code), error.message)
    except Exception:
        log.exception("event=call_failed caller=%s", call.caller)
        return Reply(call.id, Refusal.SERVER_FAILED, Refusal.SERVER_FAILED.message)
    return Reply(call.id, None, "", msgspec.msgpack.encode(found))


def _jobs(server: Server) -> list[JobInfo]:
    return [JobInfo(**row) for row in server.jobs.rows()]


def _start(server: Server, request: StartBackup) -> JobInfo:
    """Begin a backup; one that runs already is answered instead."""
    destination = server.config.storage.backup_path
    if not destination:
        raise CommandError(404, "storage.backup_path is not set: backups from the admin page are switched off")
    for running in (job for job in _jobs(server) if job.state is JobState.RUNNING):
        if running.what.startswith(backups.BACKUP):
            return running
    given = {"destination": destination, "address": request.address}
    job = backups.start(CommandContext(server, WHO, Role.OPERATE, given), Path(destination))
    server.record(WHO, "backup create", given, "started")
    return JobInfo(**job.row())
