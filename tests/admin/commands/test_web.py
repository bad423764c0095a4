"""Backups asked for by the admin page: over REST, the gateway and the bus, into the directory of the configuration only."""

import asyncio
from pathlib import Path

import httpx
import msgspec
import pytest

from lanying.admin import audit
from lanying.admin.commands import web
from lanying.admin.files import ServerFiles
from lanying.admin.server import Server
from lanying.bus.messages import Call, JobInfo, JobState, ListJobs, StartBackup, encode
from lanying.cluster.runtime import COLD_FILE
from lanying.cluster.shardmap import ShardMap
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import Config, Storage
from lanying.gateway import admin as gateway
from lanying.storage import manifest
from lanying.storage.check import check
from lanying.storage.progress import Silent
from lanying.testing.poll import PATIENCE_S, until

PATH = "/admin/api/backups"


@pytest.fixture
def page(server):
    headers = {"app_id": "lanying", "access-token": server.admin_token}
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_S) as client:

        def ask(method="GET"):
            found = client.request(method, PATH).json()
            assert found["code"] == 200, found
            return found["data"]

        yield ask


def test_a_backup_is_made_followed_and_in_the_audit_log(server, page):
    job = page("POST")
    assert (job["who"], job["state"]) == ("web", "running")
    destination = Path(page()["path"])
    assert job["what"] == f"backup to {destination}"

    def ended():
        [row] = [row for row in page()["jobs"] if row["job"] == job["job"]]
        return row if row["state"] != "running" else None

    row = until("the backup ends", ended)
    assert row["state"] == "done", row
    made = manifest.load(destination)
    assert abs(page()["made_ms"] - made.created_ms) < 60_000
    assert not check(destination, Silent()).problems
    [entry] = [entry for _, entry in audit.read(server.data / "audit.log") if entry and entry.who == "web"]
    assert (entry.command, entry.outcome) == ("backup create", "started")
    assert entry.arguments == {"destination": str(destination), "address": "127.0.0.1"}
    assert audit.verify(server.data / "audit.log")[2] == ""


def test_the_mark_of_a_whole_backup_is_its_manifest():
    assert gateway.MANIFEST == manifest.FILE_NAME


@pytest.fixture
def bare(tmp_path):
    found = Server(
        RuntimeSettings(Config()), (), None, ServerFiles(tmp_path), lambda process, message: None, now_ms=lambda: 1000
    )
    yield found
    found.close()


def test_without_a_directory_nothing_starts(bare, tmp_path):
    reply = web.answer(bare, Call(7, "gateway", 2000, encode(StartBackup("192.0.2.1"))))
    assert (reply.id, reply.code) == (7, 404) and "storage.backup_path" in reply.message
    assert not (tmp_path / "audit.log").exists()


def test_a_call_that_is_none_is_answered(bare):
    assert web.answer(bare, Call(9, "gateway", 2000, b"\x93")).code == 500
    assert web.answer(bare, Call(9, "gateway", 2000, encode(ListJobs()))).body == b"\x90"


def test_a_backup_has_the_cold_stores_too(bare, tmp_path):
    """One whose disk is not there is no backup: the job fails and says so."""
    ShardMap.even(1).save(tmp_path)
    (tmp_path / COLD_FILE).write_text(f"{tmp_path / 'usb'}\n")
    bare.settings.config = Config(storage=Storage(backup_path=str(tmp_path / "b")))

    async def start():
        assert web.answer(bare, Call(9, "gateway", 2000, encode(StartBackup("192.0.2.1")))).code == 200
        job = bare.jobs.get(1)
        await asyncio.wait_for(job.ended.wait(), PATIENCE_S)
        return job.row()

    row = asyncio.run(start())
    assert row["state"] == "failed" and "the cold store is not there" in row["now"], row


def test_one_backup_at_a_time(bare, monkeypatch):
    row = {
        "job": 3,
        "what": "backup to /y",
        "state": JobState.RUNNING,
        "percent": 5,
        "now": "",
        "who": "local",
        "started_ms": 1,
    }
    monkeypatch.setattr(bare.jobs, "rows", lambda: [row])
    bare.settings.config = Config(storage=Storage(backup_path="/x"))
    reply = web.answer(bare, Call(9, "gateway", 2000, encode(StartBackup("192.0.2.1"))))
    assert msgspec.msgpack.decode(reply.body, type=JobInfo) == JobInfo(**row)
