"""The load generator: worker processes with thousands of devices each, told what to do by a :class:`Fleet`.

A worker keeps its sockets in one epoll, reads each that is ready, and writes what a turn owes a device at once. Nothing
in it waits for a device: in the open loop messages leave by the clock, whatever the server does, and their latency
counts from the moment they *should* have left (so a stalled generator shows as latency, and ``late`` says how much
of it). In the closed loop a sender's next message leaves when the previous one has *arrived*.

Partners of a pair live in the same worker, so that arrivals can drive the closed loop.
"""

from __future__ import annotations

import errno
import gc
import multiprocessing
import multiprocessing.connection
import os
import random
import resource
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any, Final

from bench.wire import CLOSED, CONNECTING, ENGINE_PING, READY, UNREAD_REQUEST, Device, Tally, Window
from lanying.protocol.connection import SOCKETIO, XSYNC
from lanying.protocol.frame import varint

IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the port at ``connect``, so that ports are counted per pair of addresses."""
READ_BYTES: Final = 32768
EVENTS: Final = 512
"""Sockets per turn: few enough that answers do not wait for long reads."""
HEARTBEAT_US: Final = 50_000_000
ENGINE_PING_US: Final = 25_000_000
PROGRESS_US: Final = 250_000
LOGIN_TIMEOUT_S: Final = 30.0
NEVER: Final = 1 << 62


def now_us() -> int:
    """Microseconds of CLOCK_MONOTONIC, the same clock in every process."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True)
class Member:
    """A user as a worker needs it.

    :ivar index: number in this run
    :ivar target: uid it sends to, 0 for nobody; ``target_index`` its number
    """

    index: int
    uid: int
    token: str
    target: int = 0
    target_index: int = -1


@dataclass(frozen=True)
class Setting:
    """What is the same for all workers.

    :ivar addresses: loopback source addresses used in turn; one address has 28,000 ports and a rate limit at the server
    :ivar size: bytes of content per message
    """

    host: str
    port: int
    marker: bytes
    base: int
    size: int = 100
    kind: int = XSYNC
    addresses: int = 250
    seed: int = 1
    guid: str = "bench"


@dataclass(frozen=True)
class LoginOrder:
    """Log devices in. ``rate`` per second and worker, 0: as fast as ``concurrency`` allows."""

    first: int
    count: int
    rate: float = 0.0
    concurrency: int = 32
    start: int = 0
    unread: bool = True


@dataclass(frozen=True)
class ChatOrder:
    """Send messages.

    :ivar rate: per second and worker, 0: closed loop with ``window`` messages per sender under way
    :ivar start: microseconds; measured from ``start + warm`` to ``start + warm + duration``
    :ivar once: every sender sends exactly one message, at ``rate`` (the greeting: first contacts, device rows)
    :ivar pages: history pages asked per second and worker
    """

    start: int
    warm: int
    duration: int
    rate: float = 0.0
    window: int = 1
    senders: int = 0
    once: bool = False
    poisson: bool = True
    pages: float = 0.0


@dataclass(frozen=True)
class DrainOrder:
    """Wait until everything sent is acknowledged and received; give up after ``idle_s`` without progress."""

    idle_s: float = 10.0


@dataclass(frozen=True)
class LogoutOrder:
    """Close all connections."""


@dataclass(frozen=True)
class QuitOrder:
    """End the process."""


@dataclass
class LoginResult:
    """``latencies``: microseconds from the intended connect to the answer to the login."""

    latencies: array[int] = field(default_factory=lambda: array("I"))
    failed: int = 0
    started_us: int = 0
    ended_us: int = 0


@dataclass
class ChatResult:
    """What was counted between the edges of the window, and the latencies of the messages meant for it, per second.

    :ivar late: microseconds between intended and real send
    :ivar cpu_s: CPU seconds of this worker in the window
    """

    counters: dict[str, int]
    cpu_s: float
    late: array[int]
    pages: array[int]


@dataclass
class Stream:
    """One sender's messages as its recipient has seen them."""

    expected: int
    missing: list[int]


@dataclass
class DrainResult:
    """Everything of a worker since its start.

    :ivar sent: messages by sender; ``unacknowledged`` and ``refused``: their sequences
    :ivar streams: by (sender, recipient)
    """

    counters: dict[str, int]
    errors: dict[str, int]
    sent: dict[int, int]
    unacknowledged: dict[int, list[int]]
    refused: dict[int, list[int]]
    streams: dict[tuple[int, int], Stream]
    acknowledged: list[array[int]]
    delivered: list[array[int]]
    rescued: int = 0


@dataclass(frozen=True)
class Progress:
    """What a worker has done so far in its order."""

    counters: dict[str, int]
    ready: int


class Worker:
    """One process of the generator."""

    def __init__(self, number: int, setting: Setting, members: Sequence[Member], pipe: Pipe) -> None:
        self._epoll = select.epoll()
        self._pipe = pipe
        self._setting = setting
        self._random = random.Random(f"{setting.seed} {number}")
        self.tally = Tally()
        self.devices = [
            Device(
                self.tally,
                member.index,
                member.uid,
                member.token,
                f"{member.uid}_{setting.guid}",
                member.target,
                marker=setting.marker,
                size=setting.size,
                base=setting.base,
                kind=setting.kind,
            )
            for member in members
        ]
        self._by_index = {device.index: device for device in self.devices}
        self._target_index = {member.index: member.target_index for member in members}
        self._sockets: dict[int, Device] = {}
        self._dirty: dict[Device, None] = {}
        self._heartbeats: deque[tuple[int, Device, int]] = deque()
        self._pings: deque[tuple[int, Device, int]] = deque()
        self._unread = True
        self._online: set[Device] = set()
        self._finished: list[Device] = []
        self._next_progress = 0
        self._addresses = [f"127.{1 + i // 250}.{number % 250}.{1 + i % 250}" for i in range(setting.addresses)]

    def serve(self) -> None:
        """Carry out orders until told to quit."""
        while True:
            order = self._order()
            if isinstance(order, QuitOrder):
                return
            self._pipe.send(self._perform(order))

    def _order(self) -> object:
        """The next order; sockets are served while waiting for it."""
        while not self._pipe.poll():
            self._turn(now_us() + 20_000)
            self._beat()
        return self._pipe.recv()

    def _perform(self, order: object) -> object:
        if isinstance(order, LoginOrder):
            return self._log_in(order)
        if isinstance(order, ChatOrder):
            return self._chat(order)
        if isinstance(order, DrainOrder):
            return self._drain(order)
        if isinstance(order, LogoutOrder):
            for device in self.devices:
                self._close(device, expected=True)
            return None
        raise AssertionError(order)

    # --- sockets ---------------------------------------------------------------------------------------------------

    def _turn(self, until: int) -> None:
        """Wait for sockets, but not beyond ``until`` (microseconds), serve those that are ready and write."""
        if self._dirty:
            self._flush()
        wait = until - now_us()
        if wait > 5_000:
            events = self._epoll.poll(wait / 1e6 - 0.001, EVENTS)
        elif wait > 30:
            # epoll counts in milliseconds, select in microseconds.
            select.select((self._epoll,), (), (), wait / 1e6)
            events = self._epoll.poll(0, EVENTS)
        else:
            events = self._epoll.poll(0, EVENTS)
        sockets = self._sockets
        dirty = self._dirty
        for fd, event in events:
            device = sockets.get(fd)
            if device is None:
                continue
            if event & select.EPOLLOUT:
                self._writable(device)
                if device.fd < 0:
                    continue
            if event & ~select.EPOLLOUT:
                try:
                    data = os.read(fd, READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lost(device, errno.errorcode.get(error.errno or 0, "?"))
                    continue
                if not data:
                    self._lost(device, "end of stream")
                    continue
                before = device.state
                device.feed(data, now_us())
                if device.out:
                    dirty[device] = None
                if device.state != before:
                    self._changed(device)
        if dirty:
            self._flush()

    def _flush(self) -> None:
        for device in self._dirty:
            out = device.out
            if out:
                data = out[0] if len(out) == 1 else b"".join(out)
                out.clear()
                self._write(device, data)
        self._dirty.clear()

    def _write(self, device: Device, data: bytes) -> None:
        if device.fd < 0:
            return
        if device.unsent:
            device.unsent += data
            return
        try:
            sent = os.write(device.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(device, errno.errorcode.get(error.errno or 0, "?"))
            return
        if sent < len(data):
            device.unsent = data[sent:]
            self._epoll.modify(device.fd, select.EPOLLIN | select.EPOLLOUT)

    def _writable(self, device: Device) -> None:
        if device.state == CONNECTING:
            setting = self._setting
            self._epoll.modify(device.fd, select.EPOLLIN)
            self._write(device, device.upgrade(f"{setting.host}:{setting.port}"))
            return
        data, device.unsent = device.unsent, b""
        self._epoll.modify(device.fd, select.EPOLLIN)
        self._write(device, data)

    def _changed(self, device: Device) -> None:
        if device.state == READY:
            self._online.add(device)
            self._finished.append(device)
            due = now_us() + HEARTBEAT_US
            self._heartbeats.append((due, device, device.fd))
            if self._unread:
                device.out.append(UNREAD_REQUEST[device.kind])
                self._dirty[device] = None
            if device.kind == SOCKETIO:
                self._pings.append((now_us() + ENGINE_PING_US, device, device.fd))
        elif device.state == CLOSED:
            self._lost(device, "refused")

    def _connect(self, device: Device) -> None:
        setting = self._setting
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if setting.host.startswith("127.") and self._addresses:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self._addresses[device.index % len(self._addresses)], 0))
        result = sock.connect_ex((setting.host, setting.port))
        device.fd = sock.detach()
        device.rest = device.unsent = b""
        device.out.clear()
        self._sockets[device.fd] = device
        self._epoll.register(device.fd, select.EPOLLIN | select.EPOLLOUT)
        device.state = CONNECTING
        if result not in (0, errno.EINPROGRESS):
            self._lost(device, errno.errorcode.get(result, "?"))

    def _lost(self, device: Device, why: str) -> None:
        self.tally.error(f"connection lost: {why}")
        self._close(device)

    def _close(self, device: Device, expected: bool = False) -> None:
        if device.fd < 0:
            return
        if not expected:
            self.tally.disconnected += 1
            self._finished.append(device)
        self._online.discard(device)
        self._epoll.unregister(device.fd)
        os.close(device.fd)
        del self._sockets[device.fd]
        device.fd = -1
        device.state = CLOSED
        device.out.clear()
        self._dirty.pop(device, None)

    def _beat(self) -> None:
        """Heartbeats and pings that are due, and a word to the parent."""
        now = now_us()
        for queue, interval in ((self._heartbeats, HEARTBEAT_US), (self._pings, ENGINE_PING_US)):
            while queue and queue[0][0] <= now:
                due, device, fd = queue.popleft()
                if device.fd == fd and device.state == READY:
                    device.out.append(ENGINE_PING if queue is self._pings else UNREAD_REQUEST[device.kind])
                    self._dirty[device] = None
                    queue.append((due + interval, device, fd))
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_US
            self._pipe.send(Progress(self.tally.counters(), len(self._online)))

    # --- orders ----------------------------------------------------------------------------------------------------

    def _log_in(self, order: LoginOrder) -> LoginResult:
        waiting = deque(self.devices[order.first : order.first + order.count])
        self._unread = order.unread
        result = LoginResult()
        result.started_us = now_us()
        total = len(waiting)
        under_way = 0
        done = 0
        due = max(order.start, now_us()) if order.rate else 0
        quiet = now_us()
        self._finished.clear()
        while done < total:
            now = now_us()
            if order.rate:
                while waiting and due <= now:
                    device = waiting.popleft()
                    device.started = due
                    self._connect(device)
                    due += int(1e6 / order.rate)
            else:
                while waiting and under_way < order.concurrency:
                    device = waiting.popleft()
                    device.started = now_us()
                    self._connect(device)
                    under_way += 1
            self._turn(due if order.rate and waiting else now + 100_000)
            now = now_us()
            for device in self._finished:
                under_way -= 1
                done += 1
                quiet = now
                if device.state == READY:
                    result.latencies.append(max(0, now - device.started))
                else:
                    result.failed += 1
            self._finished.clear()
            self._beat()
            if now - max(quiet, order.start) > LOGIN_TIMEOUT_S * 1e6 + (1e6 / order.rate if order.rate else 0):
                self.tally.error(f"no answer to a login for {LOGIN_TIMEOUT_S:g} s")
                result.failed += total - done
                break
        result.ended_us = now_us()
        return result

    def _chat(self, order: ChatOrder) -> ChatResult:
        senders = [device for device in self.devices if device.target and device.state == READY]
        self._random.shuffle(senders)
        if order.senders:
            senders = senders[: order.senders]
        begin = order.start + order.warm
        end = begin + order.duration
        self.tally.window = window = Window(begin, end)
        self.tally.pages = array("I")
        late = array("I")
        opened: tuple[dict[str, int], float] | None = None
        while now_us() < order.start - 1000:
            self._turn(order.start)
        if not senders:
            return ChatResult(self.tally.counters(), 0.0, late, self.tally.pages)
        closed_loop = not order.rate
        due = order.start + (0 if closed_loop else int(self._gap(order)))
        page_due = order.start if order.pages else NEVER
        readers = [device for device in self.devices if device.target and device.state == READY]
        freed = self.tally.freed
        freed.clear()
        remaining = deque(senders) if order.once else None
        if closed_loop:
            stamp = varint(time.time_ns() // 1_000_000)
            for device in senders:
                for _ in range(order.window):
                    device.send(now_us(), stamp)
                self._dirty[device] = None
        elif order.once:
            end = NEVER
        count = len(senders)
        active = {device.index for device in senders}
        while True:
            now = now_us()
            if opened is None and now >= begin:
                opened = self.tally.counters(), time.process_time()
            if now >= end:
                break
            if closed_loop:
                if freed:
                    self._refill(now, active)
                self._turn(now + 10_000)
            else:
                if due <= now:
                    stamp = varint(time.time_ns() // 1_000_000)
                    while due <= now:
                        if remaining is None:
                            device = senders[int(self._random.random() * count)]
                        elif remaining:
                            device = remaining.popleft()
                        else:
                            end = 0
                            break
                        if device.state == READY:
                            device.send(due, stamp)
                            self._dirty[device] = None
                            if window.start <= due < window.stop:
                                late.append(now - due)
                        due += int(self._gap(order))
                freed.clear()
                if page_due <= now:
                    device = readers[int(self._random.random() * len(readers))]
                    if not device.page_asked:
                        device.ask_page(20, page_due)
                        self._dirty[device] = None
                    page_due += int(1e6 / order.pages)
                self._turn(min(due, end, page_due, now + 50_000))
            self._beat()
        counters = self.tally.counters()
        before, cpu = opened or (counters, time.process_time())
        difference = {name: value - before[name] for name, value in counters.items()}
        return ChatResult(difference, time.process_time() - cpu, late, self.tally.pages)

    def _gap(self, order: ChatOrder) -> float:
        """Microseconds to the next message."""
        return self._random.expovariate(order.rate) * 1e6 if order.poisson else 1e6 / order.rate

    def _refill(self, now: int, active: set[int]) -> None:
        """Closed loop: who got through sends again."""
        stamp = varint(time.time_ns() // 1_000_000)
        by_index = self._by_index
        for index in self.tally.freed:
            if index in active:
                device = by_index[index]
                if device.state == READY:
                    device.send(now, stamp)
                    self._dirty[device] = None
        self.tally.freed.clear()

    def _drain(self, order: DrainOrder) -> DrainResult:
        if not self._quiet(order.idle_s):
            # A device whose loop hangs would ask again at its next heartbeat: does that bring what is missing?
            before = self.tally.received
            for device in self.devices:
                if device.target and device.state == READY:
                    device.pull(device.target)
                    self._dirty[device] = None
            self._quiet(min(order.idle_s, 5.0))
            rescued = self.tally.received - before
        else:
            rescued = 0
        tally = self.tally
        return DrainResult(
            counters=tally.counters(),
            errors=tally.errors,
            sent={device.index: device.sequence for device in self.devices if device.sequence},
            unacknowledged={device.index: self._sequences(device) for device in self.devices if device.waiting},
            refused={device.index: device.refused for device in self.devices if device.refused},
            streams={
                (sender, device.index): Stream(expected, sorted(device.missing.get(sender, ())))
                for device in self.devices
                for sender, expected in device.expected.items()
            },
            acknowledged=tally.window.acknowledged,
            delivered=tally.window.delivered,
            rescued=rescued,
        )

    def _sequences(self, device: Device) -> list[int]:
        """Sequences of what waits for its acknowledgement."""
        waiting = {mid for mid, _ in device.waiting}
        base = self._setting.base
        return [sequence for sequence in range(device.sequence) if varint(base + sequence) in waiting]

    def _quiet(self, idle_s: float) -> bool:
        """Serve until nothing is outstanding (True), or nothing has moved for ``idle_s``."""
        tally = self.tally
        last: tuple[int, ...] = ()
        since = now_us()
        settle = 0
        while True:
            self._turn(now_us() + 20_000)
            self._beat()
            state = (tally.acknowledged, tally.refused, tally.received, tally.ends)
            now = now_us()
            if state != last:
                last, since = state, now
            if tally.received + tally.refused >= tally.sent and tally.acknowledged + tally.refused >= tally.sent:
                # Complete; wait a moment for what should not come.
                settle = settle or now
                if now - settle > 300_000:
                    return True
            elif now - since > idle_s * 1e6:
                return False


def _run_worker(number: int, setting: Setting, members: Sequence[Member], pipe: Pipe) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    worker = Worker(number, setting, members, pipe)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        worker.serve()
    except (EOFError, KeyboardInterrupt):
        return


class Fleet:
    """All workers, from the outside.

    :param groups: members by worker; both ends of a pair in the same one
    """

    def __init__(self, setting: Setting, groups: Sequence[Sequence[Member]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.setting = setting
        self.sizes = [len(members) for members in groups]
        self._pipes: list[Pipe] = []
        self._processes: list[Any] = []
        self._latest = [Progress(dict.fromkeys(Tally.COUNTERS, 0), 0) for _ in groups]
        for number, members in enumerate(groups):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run_worker, args=(number, setting, members, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *exception: object) -> None:
        for pipe in self._pipes:
            try:
                pipe.send(QuitOrder())
            except OSError:
                pass
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    @property
    def workers(self) -> int:
        """How many."""
        return len(self._pipes)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes]

    def order(
        self,
        orders: object | Sequence[object],
        progress: Callable[[dict[str, int], int], None] | None = None,
        timers: Sequence[tuple[int, Callable[[], None]]] = (),
    ) -> list[Any]:
        """Give every worker an order (the same, or one each) and wait for all results.

        :param progress: called with the summed counters and the number of ready devices, about four times a second
        :param timers: ``(microseconds, action)`` of the parent while it waits
        """
        each = list(orders) if isinstance(orders, (list, tuple)) else [orders] * self.workers
        for pipe, one in zip(self._pipes, each, strict=True):
            pipe.send(one)
        results: list[Any] = [None] * self.workers
        pending = dict(enumerate(self._pipes))
        agenda = deque(sorted(timers, key=lambda timer: timer[0]))
        while pending or agenda:
            wait = 0.25 if not agenda else max(0.0, min(0.25, (agenda[0][0] - now_us()) / 1e6))
            ready: list[Any] = []
            if pending:
                ready = multiprocessing.connection.wait(list(pending.values()), wait)
            else:
                time.sleep(wait)
            while agenda and agenda[0][0] <= now_us():
                agenda.popleft()[1]()
            for number, pipe in list(pending.items()):
                if pipe in ready:
                    message = pipe.recv()
                    if isinstance(message, Progress):
                        self._latest[number] = message
                        continue
                    results[number] = message
                    del pending[number]
            if progress is not None:
                progress(*self.total())
        return results

    def total(self) -> tuple[dict[str, int], int]:
        """Latest summed counters and ready devices."""
        counters = {name: sum(latest.counters[name] for latest in self._latest) for name in Tally.COUNTERS}
        return counters, sum(latest.ready for latest in self._latest)
