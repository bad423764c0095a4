"""Consoles that vanish, that do not read, that ask too much: nobody else notices."""

import asyncio
import shutil
import tempfile
import threading
from pathlib import Path
from socket import create_server
from types import SimpleNamespace

import pytest
import zmq
import zmq.asyncio

from lanying.admin import doors, keys
from lanying.admin.commands.jobs import cancel
from lanying.admin.commands.table import COMMANDS
from lanying.admin.console.client import Address, Console
from lanying.admin.context import Command, CommandContext
from lanying.admin.endpoint import ConsoleEndpoint
from lanying.admin.errors import CommandError, WouldDo
from lanying.admin.files import ServerFiles
from lanying.admin.followers import Followers
from lanying.admin.jobs import Jobs
from lanying.admin.keys import Ring, Role, new_pair
from lanying.admin.messages import Alive, Ask, Cancel, Done, Failed, decode_answer, decode_event, encode
from lanying.base import limits
from lanying.base.clock import monotonic
from lanying.cluster.runtime import RunDirectory
from lanying.testing.poll import eventually

WITHIN_S = 30


class Stage:
    """An endpoint alone, with one command that runs until it is cancelled."""

    def __init__(self, monkeypatch):
        self.running = self.cancelled = 0
        self.data = Path(tempfile.mkdtemp(prefix="lanying-"))  # a short path: it becomes a socket's name
        run = RunDirectory(self.data)
        Path(run.admin.removeprefix("ipc://")).parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.setitem(COMMANDS, "wait", Command("wait", "wait", self.wait, role=Role.OPERATE))
        monkeypatch.setitem(COMMANDS, "restart me", Command("restart me", "restart", self.restart_me))
        self.go = asyncio.Event()
        self.files = ServerFiles(self.data)
        self.recorded = []
        server = SimpleNamespace(files=self.files, now_ms=lambda: 1, followers=Followers())
        server.record = lambda *entry: self.recorded.append(entry)
        self.endpoint = ConsoleEndpoint(server, lambda: Ring(new_pair()))
        self.endpoint.listen_local()
        self.context = zmq.Context()

    async def wait(self, context):
        self.running += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def restart_me(self, context):
        self.running += 1
        await self.go.wait()
        return "ok"

    def console(self):
        socket = self.context.socket(zmq.DEALER)
        socket.connect(self.endpoint._server.files.run.admin)
        return socket

    def close(self):
        self.context.destroy(linger=0)
        self.endpoint.close()
        self.files.audit.close()
        shutil.rmtree(self.data)


@pytest.fixture
def scene(monkeypatch):
    monkeypatch.setattr(limits, "ADMIN_ALIVE_S", 0.1)

    def play(act):
        async def whole():
            stage = Stage(monkeypatch)
            try:
                await act(stage)
            finally:
                stage.close()

        asyncio.run(whole())

    return play


def test_a_console_that_vanishes_cancels_its_work_and_one_that_stays_does_not(scene):
    async def act(stage):
        gone, stays = stage.console(), stage.console()
        for console in (gone, stays):
            console.send(encode(Ask(1, "wait", deadline_s=1000)))
        await eventually("both commands run", lambda: stage.running == 2)
        gone.close(linger=0)

        def only_one_is_left():
            stays.send(encode(Alive([1])))
            return stage.cancelled

        await eventually("the deserted command is cancelled", only_one_is_left)
        began = monotonic()

        def five_times_what_made_the_other_one_vanish():
            stays.send(encode(Alive([1])))
            return monotonic() > began + 5 * 3 * limits.ADMIN_ALIVE_S

        await eventually("that long", five_times_what_made_the_other_one_vanish)
        assert stage.cancelled == 1
        stays.send(encode(Cancel(1)))
        await eventually("the cancelled command ends", lambda: stage.cancelled == 2)

    scene(act)


def test_what_is_about_to_be_answered_when_the_process_is_told_to_end_is_answered(scene):
    async def act(stage):
        console = stage.console()
        stage.go.clear()
        console.send(encode(Ask(1, "restart me")))
        await eventually("the command runs", lambda: stage.running == 1)
        last_words = asyncio.create_task(stage.endpoint.last_words())
        await asyncio.sleep(0)
        assert not last_words.done()
        stage.go.set()
        await last_words
        answers = []

        def answered():
            while console.poll(0):
                answers.append(decode_answer(console.recv()))
            return Done(1, "ok") in answers

        await eventually("the answer is there", answered)

    scene(act)


def test_a_console_whose_server_ends_does_not_wait_for_its_answer(scene):
    async def act(stage):
        def ask():
            with (
                Console(Address(data=stage.data)) as console,
                pytest.raises(CommandError, match="ended before") as caught,
            ):
                console.run("wait", timeout_s=1000)
            return caught.value.code

        asked = asyncio.create_task(asyncio.to_thread(ask))
        await eventually("the command runs", lambda: stage.running == 1)
        stage.endpoint.close()
        assert await asyncio.wait_for(asked, WITHIN_S) == 503

    scene(act)


def test_a_number_in_use_is_not_taken_twice_and_asks_are_bounded(scene):
    async def act(stage):
        console = stage.console()
        failures = []
        for number in (*range(limits.ADMIN_ASKS), 0, 99):
            console.send(encode(Ask(number, "wait", deadline_s=1000)))

        def two_refused():
            while console.poll(0):
                answer = decode_answer(console.recv())
                if isinstance(answer, Failed):
                    failures.append((answer.id, answer.code))
            console.send(encode(Alive(list(range(limits.ADMIN_ASKS)))))
            return len(failures) == 2

        await eventually("two are refused", two_refused)
        assert failures == [(0, 10002), (99, 503)] and stage.running == limits.ADMIN_ASKS

    scene(act)


def test_who_does_not_read_events_is_not_waited_for(scene):
    async def act(stage):
        lazy, eager = (stage.context.socket(zmq.SUB) for _ in range(2))
        for socket in (lazy, eager):
            socket.setsockopt(zmq.RCVHWM, 10)
            socket.setsockopt_string(zmq.SUBSCRIBE, "")
            socket.connect(stage.endpoint._server.files.run.admin_events)
        heard = []

        def both_are_there():
            stage.endpoint.publish("job", {"first": True})
            return lazy.poll(0) and eager.poll(0)

        await eventually("both consoles are there", both_are_there)
        for number in range(20 * limits.ADMIN_QUEUE):  # far more than its queues hold
            stage.endpoint.publish("job", {"number": number, "padding": "x" * 500})
            while eager.poll(0):
                heard.append(decode_event(eager.recv_multipart()[-1]).what.get("number"))

        def goes_on():
            stage.endpoint.publish("job", {"number": "last"})
            while eager.poll(0):
                heard.append(decode_event(eager.recv_multipart()[-1]).what.get("number"))
            return "last" in heard

        await eventually("live events go on", goes_on)
        kept = 0
        while lazy.poll(100):
            lazy.recv_multipart()
            kept += 1
        assert kept < 20 * limits.ADMIN_QUEUE, "the queue of who does not read is bounded"

    scene(act)


def test_jobs_are_bounded_and_end_with_the_process():
    async def act():
        jobs, ended = Jobs(lambda *_: None, lambda: 1), []
        started = threading.Semaphore(0)

        def work(job):
            started.release()
            job.stop.wait(WITHIN_S)
            ended.append(job.id)
            job.tell(0, 0, "")

        running = [jobs.start("local", "long", work) for _ in range(limits.ADMIN_JOBS)]
        with pytest.raises(CommandError, match="`jobs cancel`"):
            jobs.start("local", "one more", work)
        jobs.close()
        await eventually("every job is cancelled", lambda: all(job.state == "cancelled" for job in running))
        assert sorted(ended) == [job.id for job in running]
        assert jobs.start("local", "there is room again", lambda job: 1)

    asyncio.run(act())


def test_a_job_that_runs_is_cancelled_after_the_question():
    async def act():
        jobs = Jobs(lambda *_: None, lambda: 1)
        server = SimpleNamespace(now_ms=lambda: 1, publish=lambda *_: None, jobs=jobs)

        def context(dry=False):
            return CommandContext(server, "local", Role.ADMIN, {"job": "1"}, dry)

        def work(job):
            job.stop.wait(WITHIN_S)
            job.tell(0, 0, "")

        job = jobs.start("local", "long", work)
        with pytest.raises(WouldDo, match="cancel job 1: long"):
            await cancel(context(dry=True))
        assert job.state == "running" and "ends" in await cancel(context())
        await job.ended.wait()
        assert job.state == "cancelled"

    asyncio.run(act())


def test_an_address_that_was_taken_while_keys_are_shown_again_is_waited_for(monkeypatch, caplog):
    """Nothing else may end the endpoint: keys that come back have to find it."""
    monkeypatch.setattr(doors, "BIND_S", 0.05)

    async def act():
        context, ring = zmq.asyncio.Context(1), Ring(new_pair())
        place = doors.Place.open(context, zmq.PUB, "tcp://127.0.0.1:*", lambda: ring)
        with create_server(("127.0.0.1", 0)) as thief:
            place.address = f"tcp://127.0.0.1:{thief.getsockname()[1]}"
            coming = asyncio.create_task(place.readmit())
            await eventually("the door says that it cannot listen", lambda: "event=cannot_listen" in caplog.text)
            assert not coming.done()
        async with asyncio.timeout(WITHIN_S):
            await coming
        port = place.address.rpartition(":")[2]
        assert place.socket.getsockopt_string(zmq.LAST_ENDPOINT).endswith(f":{port}")
        context.destroy(linger=0)

    asyncio.run(act())


def test_keys_that_changed_while_no_server_ran_are_recorded_once_at_its_start(scene):
    async def act(stage):
        keys.add(stage.data, "early", Role.READ)  # the endpoint has not had a turn yet
        await eventually("something is recorded", lambda: stage.recorded)
        keys.add(stage.data, "late", Role.OPERATE)
        await eventually("the second is recorded", lambda: len(stage.recorded) > 1)
        assert stage.recorded == [
            ("local", "keygen", {"name": "early", "role": "read"}, "done before this start"),
            ("local", "keygen", {"name": "late", "role": "operate"}, "done"),
        ]
        assert keys.Watch(stage.data).look().added == {}, "the next start finds nothing new"

    scene(act)
