"""What the supervisor decides, with time as an argument."""

import signal

import pytest

from lanying.base import limits
from lanying.base.figures import Figure
from lanying.cluster.runtime import EXIT_CONFIG
from lanying.supervisor.answers import ProcessStatus
from lanying.supervisor.children import (
    EXIT_FAILED,
    Announce,
    Children,
    ChildState,
    Finish,
    Signal,
    Spawn,
    backoff,
    explain_exit,
)

NAMES = ("shard-0", "shard-1", "gateway", "router")


class Server:
    """Children whose commands are carried out by the test: every Spawn gets the next pid."""

    def __init__(self, **options):
        self.children = Children(NAMES, **options)
        self.pids = {}
        self.did = []
        self.next_pid = 100

    def do(self, commands, now):
        for command in commands:
            self.did.append(command)
            if isinstance(command, Spawn):
                self.next_pid += 1
                self.pids[command.name] = self.next_pid
                self.children.spawned(command.name, self.next_pid, now)

    def take(self):
        did, self.did = self.did, []
        return did

    def beat(self, name, now, ready=True, pid=None):
        self.do(self.children.heartbeat(name, pid or self.pids[name], ready, [Figure("sessions", 1)], now), now)

    def beat_all(self, now):
        for name in self.pids:
            self.beat(name, now)

    def exit(self, name, status, now):
        self.do(self.children.exited(name, status, now), now)

    def tick(self, now):
        self.do(self.children.tick(now), now)

    def drain(self, now, **options):
        self.do(self.children.drain(now, **options), now)


@pytest.fixture
def ready():
    server = Server()
    server.do(server.children.start(), 0.0)
    for name in NAMES:
        server.beat(name, 1.0)
    assert server.take()[-1] == Announce()
    return server


def signals(did):
    return [(command.name, command.number) for command in did if isinstance(command, Signal)]


def test_start_order_shards_and_gateway_then_router():
    server = Server()
    server.do(server.children.start(), 0.0)
    assert server.take() == [Spawn("shard-0"), Spawn("shard-1"), Spawn("gateway")]
    server.beat("shard-0", 1.0)
    server.beat("gateway", 1.0)
    server.beat("shard-1", 1.0, ready=False)
    assert server.take() == [] and server.children.state is ChildState.STARTING
    server.beat("shard-1", 2.0)
    assert server.take() == [Spawn("router")]
    server.beat("router", 3.0)
    assert server.take() == [Announce()] and server.children.state is ChildState.READY


def test_a_crash_is_followed_by_a_backoff_and_the_others_are_left_alone(ready):
    ready.exit("shard-1", -signal.SIGSEGV, 50.0)
    assert ready.take() == []
    child = ready.children["shard-1"]
    assert (child.state, child.restarts, child.last_exit) == (ChildState.WAITING, 1, -signal.SIGSEGV)
    assert ready.children.next_timer() == limits.HUNG_AFTER_S + 1.0  # the others are older
    ready.beat_all(50.0)
    assert ready.children.next_timer() == 50.0 + limits.BACKOFF_FIRST_S
    ready.tick(50.05)
    assert ready.take() == []
    ready.tick(50.1)
    assert ready.take() == [Spawn("shard-1")]
    ready.beat("shard-1", 51.0)
    assert ready.take() == [] and child.state is ChildState.READY


def test_backoff_doubles_to_its_limit_and_starts_over_after_healthy_service():
    delay, seen = 0.0, []
    for _ in range(9):
        delay = backoff(delay, served_s=1.0)
        seen.append(delay)
    assert seen == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff(10.0, served_s=limits.HEALTHY_AFTER_S) == 0.1
    assert backoff(10.0, served_s=limits.HEALTHY_AFTER_S - 1) == 10.0


def test_repeated_crashes_wait_longer(ready):
    now, waits = 100.0, []
    for _ in range(3):
        ready.exit("gateway", 1, now)
        child = ready.children["gateway"]
        waits.append(round(child.due - now, 3))
        now = child.due
        ready.tick(now)
        now += 1
        ready.beat("gateway", now)
    assert waits == [0.1, 0.2, 0.4]


def test_a_silent_child_is_killed_once_and_started_again(ready):
    for name in ("shard-0", "gateway", "router"):
        ready.beat(name, 10.0)
    ready.tick(10.9)
    assert ready.take() == []
    ready.tick(11.0)
    assert signals(ready.take()) == [("shard-1", signal.SIGKILL)]
    ready.tick(11.5)
    assert ready.take() == []
    ready.exit("shard-1", -signal.SIGKILL, 11.6)
    assert ready.children["shard-1"].state is ChildState.WAITING


def test_a_child_that_says_nothing_after_its_start_is_given_longer(ready):
    ready.exit("gateway", 1, 2.0)
    ready.tick(2.1)
    started = 2.1
    for now in range(3, 60):
        for name in ("shard-0", "shard-1", "router"):
            ready.beat(name, float(now))
    ready.take()
    ready.tick(started + limits.START_TIMEOUT_S - 0.01)
    assert ("gateway", signal.SIGKILL) not in signals(ready.take())
    ready.tick(started + limits.START_TIMEOUT_S)
    assert ("gateway", signal.SIGKILL) in signals(ready.take())


def test_a_supervisor_that_was_stopped_itself_does_not_blame_its_children(ready):
    ready.tick(500.0)
    assert ready.take() == []
    ready.tick(ready.children.next_timer())
    assert len(signals(ready.take())) == len(NAMES)


def test_words_of_a_previous_process_do_not_count(ready):
    old = ready.pids["router"]
    ready.exit("router", 1, 5.0)
    ready.tick(5.2)
    ready.beat("router", 6.0, pid=old)
    assert ready.children["router"].state is ChildState.STARTING
    assert ready.children.heartbeat("stranger", 1, True, [], 6.0) == []


@pytest.mark.parametrize(("status", "code"), [(1, EXIT_FAILED), (-9, EXIT_FAILED), (EXIT_CONFIG, EXIT_CONFIG)])
def test_an_exit_before_the_first_ready_gives_the_start_up(status, code):
    server = Server()
    server.do(server.children.start(), 0.0)
    server.beat("shard-0", 1.0)
    server.take()
    server.exit("shard-1", status, 2.0)
    assert signals(server.take()) == [("gateway", signal.SIGTERM)]
    server.exit("gateway", 0, 2.1)
    assert signals(server.take()) == [("shard-0", signal.SIGTERM)]
    server.exit("shard-0", 0, 2.2)
    (finish,) = server.take()
    assert isinstance(finish, Finish) and finish.code == code and finish.reason.startswith("shard-1 ")


def test_drain_goes_router_gateway_shards_each_when_the_one_before_is_gone(ready):
    ready.drain(10.0)
    assert signals(ready.take()) == [("router", signal.SIGTERM)]
    ready.drain(10.1)
    assert ready.take() == []
    ready.exit("router", 0, 11.0)
    assert signals(ready.take()) == [("gateway", signal.SIGTERM)]
    ready.exit("gateway", 0, 12.0)
    assert signals(ready.take()) == [("shard-0", signal.SIGTERM), ("shard-1", signal.SIGTERM)]
    ready.exit("shard-0", 0, 12.5)
    assert ready.take() == []
    ready.exit("shard-1", 0, 13.0)
    assert ready.take() == [Finish(0, "")]
    assert ready.children.state is ChildState.OVER and ready.children.next_timer() is None


def test_a_child_that_does_not_stop_is_killed_in_its_stage(ready):
    ready.drain(10.0)
    ready.take()
    assert ready.children.next_timer() == min(11.0, 10.0 + limits.DRAIN_TIMEOUT_S)
    ready.tick(10.0 + limits.DRAIN_TIMEOUT_S)
    assert ("router", signal.SIGKILL) in signals(ready.take())


def test_a_crash_during_the_drain_is_not_restarted(ready):
    ready.drain(10.0)
    ready.take()
    ready.exit("shard-1", -9, 10.5)
    ready.exit("router", 0, 11.0)
    ready.exit("gateway", 0, 12.0)
    assert signals(ready.take()) == [("gateway", signal.SIGTERM), ("shard-0", signal.SIGTERM)]
    ready.exit("shard-0", 0, 13.0)
    assert ready.take() == [Finish(0, "")]


def test_a_child_added_to_a_ready_server_is_one_of_them_and_drains_before_the_shards(ready):
    ready.do(ready.children.add("push"), 5.0)
    assert ready.take() == [Spawn("push")]
    assert ready.children.add("push") == [], "there is one"
    ready.exit("push", 1, 6.0)
    assert ready.children["push"].state is ChildState.WAITING, "the server goes on"
    ready.tick(ready.children.next_timer())
    assert ready.take() == [Spawn("push")]
    ready.drain(10.0)
    ready.exit("router", 0, 11.0)
    assert {name for name, _ in signals(ready.take())} == {"router", "gateway", "push"}
    ready.exit("gateway", 0, 12.0)
    assert ready.take() == []
    ready.exit("push", 0, 12.0)
    assert {name for name, _ in signals(ready.take())} == {"shard-0", "shard-1"}
    assert ready.children.add("another") == [], "not to one that stops"


def test_drain_while_a_child_waits_for_its_backoff(ready):
    for name in ("router", "gateway", "shard-1"):
        ready.exit(name, 1, 2.0)
    ready.drain(2.01)
    assert signals(ready.take()) == [("shard-0", signal.SIGTERM)]
    ready.exit("shard-0", 0, 3.0)
    assert ready.take() == [Finish(0, "")]


def test_a_second_signal_kills_everything(ready):
    ready.drain(10.0)
    ready.take()
    ready.do(ready.children.kill(10.5), 10.5)
    assert signals(ready.take()) == [(name, signal.SIGKILL) for name in NAMES]
    for name in NAMES:
        ready.exit(name, -9, 10.6)
    did = ready.take()
    assert isinstance(did[-1], Finish) and did[-1].code == EXIT_FAILED


def test_restart_of_one_child_is_a_drain_and_an_immediate_start(ready):
    ready.do(ready.children.restart("gateway", 5.0), 5.0)
    assert signals(ready.take()) == [("gateway", signal.SIGTERM)]
    ready.exit("gateway", 0, 5.5)
    assert ready.take() == [Spawn("gateway")]
    assert ready.children["gateway"].restarts == 1


def test_restart_of_a_waiting_child_ends_the_wait(ready):
    ready.exit("gateway", 1, 5.0)
    ready.do(ready.children.restart("gateway", 5.01), 5.01)
    assert ready.take() == [Spawn("gateway")]


def test_report_and_exit_texts(ready):
    row = ready.children.report(11.0, lambda name: len(name))[0]
    assert row == ProcessStatus("shard-0", 101, "ready", 11.0, 0, None, {"sessions": 1}, [], 7)
    assert explain_exit(-9) == "was ended by SIGKILL" and explain_exit(3) == "exited with code 3"
    assert explain_exit(-250) == "was ended by signal 250"
