"""The first process: owns the public port, starts the others, restarts what falls over, drains in order.

Decisions are :class:`lanying.supervisor.children.Children`'s; this module performs them: processes, signals,
descriptors, the bus and the control socket, in one loop. It holds both listeners for as long as it lives, so a router or
gateway that crashes loses no connection attempt, and it never touches user data.

Children learn what they are from a :class:`~lanying.cluster.launch.Launch` record on descriptor 0. They run in sessions of
their own (Ctrl-C reaches only the supervisor) and the kernel kills them when the supervisor dies. They are forked from a process that has
imported what they share (:mod:`lanying.supervisor.fork_server`), and are this process's own children all the same.

Over 400 lines: every event ends in a command and every command changes what the next event finds, in one object.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import uvloop

from lanying import __version__
from lanying.base import clock, log_file
from lanying.base.failpoints import failpoint
from lanying.base.lag import Lag
from lanying.bus.messages import Envelope, Heartbeat, ProcessEvent
from lanying.bus.transport import Bus
from lanying.cluster.runtime import ADMIN, PUSH, SUPERVISOR, RunDirectory
from lanying.supervisor import machine, move
from lanying.supervisor.answers import ControlAnswer, ControlRefused, Ending, MoveStatus, Restarting, Status, split
from lanying.supervisor.children import (
    EXIT_FAILED,
    Announce,
    Children,
    ChildState,
    Command,
    Finish,
    Signal,
    Spawn,
    explain_exit,
)
from lanying.supervisor.control import ControlEndpoint
from lanying.supervisor.forking import Forked, ForkServer
from lanying.supervisor.move import MOVER, Move
from lanying.supervisor.notify import ServiceNotifier
from lanying.supervisor.plan import SHARD, SHARED, Plan, spawn
from lanying.supervisor.requests import (
    ControlRequest,
    MoveRequest,
    PushRequest,
    RestartRequest,
    StatusRequest,
    StopRequest,
)

log = logging.getLogger(__name__)

LOG_CHECK_S = 2.0
LOG_RETRY_S = 60.0
"""A log that cannot be moved away is left alone for so long."""
RESTART = -1
"""Result of :func:`run` when the whole server was asked to start again."""


def run(plan: Plan, on_ready: Callable[[], None], on_failure: Callable[[str], None]) -> int:
    """Serve until asked to stop.

    :param on_ready: every process is ready; called once
    :param on_failure: the server ends by itself, with the reason
    :returns: exit code, or :data:`RESTART`
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Supervisor(plan, on_ready, on_failure).serve())


class Supervisor:
    """Performs what :class:`Children` decides."""

    def __init__(self, plan: Plan, on_ready: Callable[[], None], on_failure: Callable[[str], None]) -> None:
        self._plan = plan
        self._on_ready = on_ready
        self._on_failure = on_failure
        limit = {} if plan.hung_after_s is None else {"hung_after_s": plan.hung_after_s}
        self._children = Children(plan.names, **limit)
        self._processes: dict[str, Forked] = {}
        self._unborn: dict[str, None] = {}
        """Children that are to be started when the fork server is ready, in order."""
        self._started = time.time()
        self._born = clock.monotonic()
        self._restarting = False
        self._move: Move | None = None
        """To be done before the restart."""
        self._mover: tuple[subprocess.Popen[bytes], int] | None = None
        self._notifier = ServiceNotifier()
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self) -> int:
        """From the first spawn to the last exit."""
        self._loop = loop = asyncio.get_running_loop()
        self._over: asyncio.Future[int] = loop.create_future()
        run_directory = RunDirectory(self._plan.data.path)
        bus = self._bus = Bus(SUPERVISOR, run_directory, self._on_envelope)
        control = ControlEndpoint(run_directory, self._answer)
        bus.start(loop)
        control.start(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup, os.isatty(2))
        shared = [module for module in SHARED if module in self._plan.modules.values()]
        self._forks = ForkServer(shared, loop, self._spawn_unborn, self._give_unborn_up)
        self._sign_of_life()
        self._look_at_log()
        self._lag = Lag(loop)
        self._lag.start()
        try:
            self._perform(self._children.start())
            return await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._forks.close()
            control.close()
            bus.close()

    def _sign_of_life(self) -> None:
        """This loop turns; hung children are its own business."""
        if self._notifier.watchdog_s is not None:
            self._notifier.send("WATCHDOG=1")
            self._loop.call_later(self._notifier.watchdog_s, self._sign_of_life)

    def _look_at_log(self) -> None:
        """Begin a new log when the one of ``--daemon`` is too large."""
        config, pause_s = self._plan.config, LOG_CHECK_S
        if not config.log_mb:
            return
        try:
            if log_file.rotate(self._plan.data.log_file, config.log_mb << 20, config.log_files):
                self._open_log_again()
        except OSError as error:
            log.error("event=log_not_rotated error=%r", str(error))
            pause_s = LOG_RETRY_S
        self._loop.call_later(pause_s, self._look_at_log)

    # --- events ---

    def _on_envelope(self, envelope: Envelope) -> None:
        if isinstance(envelope, Heartbeat):
            h = envelope
            before = self._children[h.process].state if h.process in self._children else None
            commands = self._children.heartbeat(h.process, h.pid, h.ready, h.figures, clock.monotonic())
            if before is ChildState.STARTING and self._children[h.process].state is ChildState.READY:
                log.info("event=child_ready process=%s pid=%d", h.process, h.pid)
                self._tell(h.process, "ready", h.pid)
            self._perform(commands)

    def _on_signal(self, number: signal.Signals) -> None:
        now = clock.monotonic()
        if self._mover is not None:
            log.warning("event=move_stopped signal=%s", signal.Signals(number).name)
            self._stop_moving()
        elif self._children.state is ChildState.DRAINING:
            log.warning("event=stop_at_once signal=%s", signal.Signals(number).name)
            self._restarting = False
            self._perform(self._children.kill(now))
        else:
            log.info("event=drain signal=%s", signal.Signals(number).name)
            self._perform(self._children.drain(now))

    def _on_hangup(self, had_terminal: bool) -> None:
        """Open the log again, here and in every child. Only a terminal that was closed, which sends the same, ends a server."""
        if had_terminal and not os.isatty(2):
            self._on_signal(signal.SIGHUP)
            return
        self._open_log_again()

    def _open_log_again(self) -> None:
        log_file.reopen()
        self._forks.hang_up()
        for process in self._processes.values():
            process.signal(signal.SIGHUP)

    def _on_exit(self, name: str) -> None:
        failpoint("supervisor.child_died")
        process = self._processes.pop(name)
        self._loop.remove_reader(process.pidfd)
        status = process.bury()
        commands = self._children.exited(name, status, clock.monotonic())
        child = self._children[name]
        if child.state is ChildState.WAITING:
            log.error(
                "event=child_died process=%s pid=%d how=%r restart_in_s=%g restarts=%d",
                name, process.pid, explain_exit(status), child.delay, child.restarts,
            )  # fmt: skip
            self._tell(name, "died", process.pid, f"{explain_exit(status)}; started again in {child.delay:g} s")
        else:
            log.info("event=child_exited process=%s pid=%d how=%r", name, process.pid, explain_exit(status))
            self._tell(name, "exited", process.pid, explain_exit(status))
        self._perform(commands)

    def _on_timer(self) -> None:
        self._timer = None
        self._perform(self._children.tick(clock.monotonic()))

    # --- commands ---

    def _perform(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Spawn():
                    self._spawn(command.name)
                case Signal():
                    self._signal(command)
                case Announce():
                    gc.collect()
                    gc.freeze()
                    self._on_ready()
                    self._notifier.send("READY=1", f"STATUS={self._plan.shard_map.shards} shards serve")
                case Finish():
                    self._finish(command)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._children.next_timer()
        if due is not None:
            self._timer = self._loop.call_later(max(due - clock.monotonic(), 0) + 0.001, self._on_timer)

    def _spawn(self, name: str) -> None:
        if self._children.state in (ChildState.DRAINING, ChildState.OVER):
            return  # an earlier command of the same turn failed
        launch = self._plan.launch(name)
        failpoint("supervisor.before_spawn")
        try:
            self._forks.start()
            module = self._plan.modules[SHARD if name.startswith("shard-") else name]
            process = (
                self._forks.fork(module, f"lanying: {name}", launch, self._plan.data.lock_fd)
                if self._forks.ready
                else None
            )
        except OSError as error:
            log.error("event=spawn_failed process=%s error=%r", name, str(error))
            self._perform(self._children.exited(name, EXIT_FAILED, clock.monotonic()))
            return
        if process is None:
            self._unborn[name] = None
            return
        log.info("event=child_started process=%s pid=%d core=%s", name, process.pid, launch.cpu)
        restarts = self._children[name].restarts
        self._tell(name, "started", process.pid, f"restart {restarts}" if restarts else "")
        self._processes[name] = process
        self._children.spawned(name, process.pid, clock.monotonic())
        self._loop.add_reader(process.pidfd, self._on_exit, name)

    def _spawn_unborn(self) -> None:
        """The fork server is ready."""
        unborn, self._unborn = self._unborn, {}
        self._perform(Spawn(name) for name in unborn)

    def _give_unborn_up(self) -> None:
        """The fork server could not start: neither could they, for now."""
        unborn, self._unborn = self._unborn, {}
        for name in unborn:
            self._perform(self._children.exited(name, EXIT_FAILED, clock.monotonic()))

    def _signal(self, command: Signal) -> None:
        process = self._processes.get(command.name)
        if process is None:
            return
        level = logging.WARNING if command.number is signal.SIGKILL else logging.INFO
        log.log(level, "event=signal process=%s signal=%s reason=%r", command.name, command.number.name, command.reason)
        process.signal(command.number)
        event = "killed" if command.number is signal.SIGKILL else "draining"
        self._tell(command.name, event, process.pid, command.reason)

    def _finish(self, command: Finish) -> None:
        if self._restarting and not command.code:
            self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            if self._move is not None:
                self._start_moving(self._move)
                return
        else:
            self._notifier.send("STOPPING=1")
        if command.code:
            log.error("event=stopped code=%d reason=%r", command.code, command.reason)
            self._on_failure(command.reason)
        else:
            log.info("event=stopped")
        if not self._over.done():
            self._over.set_result(RESTART if self._restarting and not command.code else command.code)

    def _tell(self, process: str, event: str, pid: int, detail: str = "") -> None:
        """Report it to the consoles that listen, also when the admin process is away: it gets the report when it is back."""
        if ADMIN in self._children:
            self._bus.send(ADMIN, ProcessEvent(process, event, pid, detail))

    # --- slots that move between two runs ---

    def _start_moving(self, what: Move) -> None:
        launch = self._plan.launch(MOVER)
        log.info("event=move_started what=%r", what.title)
        try:
            process = spawn(self._plan.modules[MOVER], "move", launch, self._plan.data.lock_fd)
        except OSError as error:
            log.error("event=spawn_failed process=%s error=%r", MOVER, str(error))
            self._over.set_result(RESTART)  # which gives it up
            return
        self._mover = process, os.pidfd_open(process.pid)
        self._loop.add_reader(self._mover[1], self._moved)

    def _moved(self) -> None:
        """However it ended: the next start knows what to do about it."""
        assert self._mover is not None
        process, pidfd = self._mover
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        log.info("event=move_ended how=%r", explain_exit(process.wait()))
        self._over.set_result(RESTART if self._restarting else 0)

    def _stop_moving(self) -> None:
        """Stop instead of starting again."""
        assert self._mover is not None
        self._restarting = False
        self._notifier.send("STOPPING=1")
        self._mover[0].terminate()

    # --- control socket ---

    def _answer(self, request: ControlRequest) -> ControlAnswer:
        now = clock.monotonic()
        match request:
            case StatusRequest():
                return self._status(now)
            case StopRequest():
                log.info("event=drain request=stop")
                self._loop.call_soon(self._stop)
                return Ending(pid=os.getpid())
            case MoveRequest(move=asked, dry=dry):
                return self._restart_all(asked, dry=dry)
            case RestartRequest(process=name):
                return self._restart_all() if name is None else self._restart(name, now)
            case PushRequest():
                return self._begin_pushing()

    def _stop(self) -> None:
        if self._mover is not None:
            self._stop_moving()
        else:
            self._perform(self._children.drain(clock.monotonic()))

    def _restart_all(self, what: Move | None = None, *, dry: bool = False) -> ControlAnswer:
        """Stop everything, do ``what`` and start again."""
        if self._children.state is not ChildState.READY:
            return ControlRefused(error=f"the server is {self._state}; restart it when it is ready")
        try:
            config = self._plan.recheck()
            if what is not None and config.shards not in (0, what.shards):
                return ControlRefused(error=_explain_shards(config.shards, what.shards))
            if what is not None and not dry:
                what.save(self._plan.data.path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the running server goes on
            return ControlRefused(error=f"not restarted: {error}")
        if dry:
            return Restarting(started=self._started)
        log.info("event=drain request=%s", "restart" if what is None else "move")
        self._restarting, self._move = True, what
        self._loop.call_soon(lambda: self._perform(self._children.drain(clock.monotonic())))
        return Restarting(started=self._started)

    def _restart(self, name: str, now: float) -> ControlAnswer:
        if name not in self._children:
            return ControlRefused(error=f"no process {name!r}; there are: {', '.join(self._plan.names)}")
        if self._children.state is not ChildState.READY:
            return ControlRefused(error=f"the server is {self._state}; restart it when it is ready")
        restarts = self._children[name].restarts
        self._perform(self._children.restart(name, now))
        return Restarting(restarts=restarts)

    def _begin_pushing(self) -> ControlAnswer:
        """There is a first notifier: start the push process. Shards notice when it asks them."""
        if not self._plan.push:
            if self._children.state is not ChildState.READY:
                return ControlRefused(error=f"the server is {self._children.state}")
            self._plan = replace(self._plan, push=True)
            self._perform(self._children.add(PUSH))
        return ControlAnswer()

    @property
    def _state(self) -> ChildState:
        if self._mover is not None:
            return ChildState.MOVING
        if self._children.state is ChildState.READY and not self._children.all_ready:
            return ChildState.STARTING
        return self._children.state

    def _status(self, now: float) -> Status:
        config, plan = self._plan.config, self._plan
        totals, series = split(self._lag.figures())
        step = move.Step.told(RunDirectory(plan.data.path))
        return Status(
            state=self._state,
            version=__version__,
            pid=os.getpid(),
            fork_server=self._forks.pid,
            started=self._started,
            uptime_s=round(now - self._born, 1),
            url=machine.urls(config)[0],
            tls_url=machine.tls_url(config),
            metrics_url=f"http://127.0.0.1:{plan.listeners['metrics_port'].getsockname()[1]}/metrics",
            data=str(plan.data.path),
            app_id=config.app_id,
            durability=config.storage.durability,
            shards=plan.shard_map.shards,
            shard_map_version=plan.shard_map.version,
            move=MoveStatus(self._move.title, step.step, step.done, step.total) if self._move is not None else None,
            allotted=plan.allotted,
            figures=totals,
            series=series,
            processes=self._children.report(now, lambda name: plan.launch(name).cpu),
        )


def _explain_shards(configured: int, wanted: int) -> str:
    return (
        f"the server is set to {configured} shards (--shards, LANYING_SHARDS, configuration file or board profile) and would "
        f"not start with {wanted}: write `shards = 0` into the configuration file, which means as many as the data has, or start it "
        "without --shards and LANYING_SHARDS first; then try again"
    )
