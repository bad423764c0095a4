"""A worker process of the load generator: thousands of devices, told what to do by a :class:`~bench.fleet.Fleet`.

A worker keeps its sockets in one epoll, reads each that is ready, and writes what a turn owes a device at once. Nothing
in it waits for a device: in the open loop messages leave by the clock, whatever the server does, and their latency
counts from the moment they *should* have left (so a stalled generator shows as latency, and ``late`` says how much
of it). In the closed loop a sender's next message leaves when the previous one has *arrived* at a device of the same
worker: partners of a pair live together, and of a group one member per worker is the probe.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import random
import resource
import time
from array import array
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Final

from bench.client import READY, Client, Member, Setting
from bench.orders import (
    ChatOrder,
    ChatResult,
    CountOrder,
    CountResult,
    LoginOrder,
    LoginResult,
    LogoutOrder,
    Progress,
    QuitOrder,
    RescueOrder,
    Stream,
    now_us,
)
from bench.protocols import client
from bench.sockets import Sockets
from bench.tally import Tally, Window
from lanying.protocol.frame import varint

PROGRESS_US: Final = 250_000
LOGIN_TIMEOUT_S: Final = 30.0
GIVE_UP_US: Final = 90_000_000
"""Devices that try again do so no longer: a server that lets nobody in would keep a run for ever."""
NEVER: Final = 1 << 62


class Worker:
    """One process of the generator."""

    def __init__(self, number: int, setting: Setting, members: Sequence[Member], pipe: Pipe) -> None:
        self._pipe = pipe
        self._setting = setting
        self._random = random.Random(f"{setting.seed} {number}")
        self.tally = Tally()
        self.devices = [client(self.tally, member, setting) for member in members]
        self._by_stream = {
            route.stream: (device, number) for device in self.devices for number, route in enumerate(device.routes)
        }
        self._sockets = Sockets(number, setting, self.tally)
        self._next_progress = 0

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
        return self._pipe.recv()

    def _perform(self, order: object) -> object:
        if isinstance(order, LoginOrder):
            return self._log_in(order)
        if isinstance(order, ChatOrder):
            return self._chat(order)
        if isinstance(order, RescueOrder):
            self._rescue()
            return None
        if isinstance(order, CountOrder):
            return self._count()
        if isinstance(order, LogoutOrder):
            for device in self.devices:
                self._sockets.close(device, expected=True)
            return None
        raise AssertionError(order)

    def _turn(self, until: int) -> None:
        """Serve sockets, not beyond ``until``; heartbeats; a word to the parent."""
        self._sockets.turn(until)
        self._sockets.beat()
        now = now_us()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_US
            self._pipe.send(Progress(self.tally.counters(), len(self._sockets.online)))

    # --- orders ----------------------------------------------------------------------------------------------------

    def _log_in(self, order: LoginOrder) -> LoginResult:
        waiting = deque(self.devices[order.first : order.first + order.count])
        self._sockets.unread = order.unread
        self._sockets.resume, resumed = order.resume, self._sockets.resumed
        result = LoginResult()
        result.started_us = now_us()
        total = len(waiting)
        under_way = 0
        done = 0
        due = max(order.start, now_us()) if order.rate else 0
        quiet = now_us()
        again: deque[tuple[int, Client]] = deque()
        self._sockets.finished.clear()
        while done < total:
            now = now_us()
            while again and again[0][0] <= now:
                self._sockets.connect(again.popleft()[1])
            if order.rate:
                while waiting and due <= now:
                    device = waiting.popleft()
                    device.started = due
                    self._sockets.connect(device)
                    due += int(1e6 / order.rate)
            else:
                while waiting and under_way < order.concurrency:
                    device = waiting.popleft()
                    device.started = now_us()
                    self._sockets.connect(device)
                    under_way += 1
            self._turn(min(due if order.rate and waiting else now + 100_000, now + 100_000))
            now = now_us()
            for device in self._sockets.finished:
                quiet = now
                if device.state != READY and order.retry_s and now - result.started_us < GIVE_UP_US:
                    result.retries += 1
                    again.append((now + int(order.retry_s * 1e6 * (1 + self._random.random())), device))
                    continue
                under_way -= 1
                done += 1
                if device.state == READY:
                    result.latencies.append(max(0, now - device.started))
                else:
                    result.failed += 1
            self._sockets.finished.clear()
            if now - max(quiet, order.start) > LOGIN_TIMEOUT_S * 1e6 + (1e6 / order.rate if order.rate else 0):
                self.tally.error(f"no answer to a login for {LOGIN_TIMEOUT_S:g} s")
                result.failed += total - done
                break
        result.ended_us = now_us()
        result.resumed = self._sockets.resumed - resumed
        return result

    def _chat(self, order: ChatOrder) -> ChatResult:
        senders = [device for device in self.devices if device.routes and device.state == READY]
        self._random.shuffle(senders)
        if order.senders:
            senders = senders[: order.senders]
        begin = order.start + order.warm
        end = begin + order.duration
        self.tally.window = Window(begin, end)
        self.tally.pages = array("I")
        self.tally.freed.clear()
        late = array("I")
        while now_us() < order.start - 1000:
            self._turn(order.start)
        if not senders:
            return ChatResult(self.tally.counters(), 0.0, late, self.tally.pages)
        before: tuple[dict[str, int], float] | None = None
        if order.once:
            self._greet(senders, order)
        elif order.rate:
            before = self._open_loop(senders, order, begin, end, late)
        else:
            before = self._closed_loop(senders, order, begin, end)
        counters = self.tally.counters()
        earlier, cpu = before or (counters, time.process_time())
        difference = {name: value - earlier[name] for name, value in counters.items()}
        return ChatResult(difference, time.process_time() - cpu, late, self.tally.pages)

    def _counters(self) -> tuple[dict[str, int], float]:
        return self.tally.counters(), time.process_time()

    def _greet(self, senders: Sequence[Client], order: ChatOrder) -> None:
        """One message of every sender, at the rate."""
        due = order.start
        for device in senders:
            while (now := now_us()) < due:
                self._turn(min(due, now + 50_000))
            if device.state == READY:
                device.send(0, due, varint(time.time_ns() // 1_000_000))
                self._sockets.dirty[device] = None
            due += int(self._gap(order))
        self._turn(now_us())
        self.tally.freed.clear()

    def _open_loop(
        self, senders: Sequence[Client], order: ChatOrder, begin: int, end: int, late: array[int]
    ) -> tuple[dict[str, int], float] | None:
        """Messages by the clock until ``end``; the counters at ``begin``."""
        before = None
        due = order.start + int(self._gap(order))
        page_due = order.start if order.pages else NEVER
        cumulative = list(itertools.accumulate(order.weights))
        count = len(senders)
        window = self.tally.window
        chance = self._random.random
        while (now := now_us()) < end:
            if before is None and now >= begin:
                before = self._counters()
            if due <= now:
                stamp = varint(time.time_ns() // 1_000_000)
                while due <= now:
                    device = senders[int(chance() * count)]
                    if device.state == READY:
                        number = bisect.bisect(cumulative, chance() * cumulative[-1]) if len(cumulative) > 1 else 0
                        device.send(number, due, stamp)
                        self._sockets.dirty[device] = None
                        if window.start <= due < window.stop:
                            late.append(now - due)
                    due += int(self._gap(order))
            self.tally.freed.clear()
            if page_due <= now:
                device = senders[int(chance() * count)]
                if not device.page_asked and device.state == READY:
                    device.ask_page(20, page_due)
                    self._sockets.dirty[device] = None
                page_due += int(1e6 / order.pages)
            self._turn(min(due, end, page_due, now + 50_000))
        return before

    def _closed_loop(
        self, senders: Sequence[Client], order: ChatOrder, begin: int, end: int
    ) -> tuple[dict[str, int], float] | None:
        """``order.window`` messages of each sender under way until ``end``; the counters at ``begin``."""
        before = None
        stamp = varint(time.time_ns() // 1_000_000)
        for device in senders:
            for _ in range(order.window):
                device.send(0, now_us(), stamp)
            self._sockets.dirty[device] = None
        active = {device.routes[0].stream for device in senders}
        while (now := now_us()) < end:
            if before is None and now >= begin:
                before = self._counters()
            if self.tally.freed:
                self._refill(now, active)
            self._turn(now + 10_000)
        return before

    def _gap(self, order: ChatOrder) -> float:
        """Microseconds to the next message."""
        return self._random.expovariate(order.rate) * 1e6 if order.poisson else 1e6 / order.rate

    def _refill(self, now: int, active: set[int]) -> None:
        """Closed loop: who got through sends again."""
        stamp = varint(time.time_ns() // 1_000_000)
        by_stream = self._by_stream
        for stream in self.tally.freed:
            if stream in active:
                device, number = by_stream[stream]
                if device.state == READY:
                    device.send(number, now, stamp)
                    self._sockets.dirty[device] = None
        self.tally.freed.clear()

    def _rescue(self) -> None:
        for device in self.devices:
            if device.state == READY:
                device.catch_up()
                self._sockets.dirty[device] = None

    def _count(self) -> CountResult:
        tally = self.tally
        unacknowledged: dict[int, list[int]] = {}
        refused: dict[int, list[int]] = {}
        sent: dict[int, int] = {}
        streams: dict[tuple[int, int], Stream] = {}
        for device in self.devices:
            for _, _, number, sequence in device.waiting:
                unacknowledged.setdefault(device.routes[number].stream, []).append(sequence)
            for stream, sequence in device.refused:
                refused.setdefault(stream, []).append(sequence)
            for route, count in zip(device.routes, device.sequences, strict=True):
                if count:
                    sent[route.stream] = count
            for stream, expected in device.expected.items():
                streams[stream, device.index] = Stream(expected, sorted(device.missing.get(stream, ())))
        window = tally.window
        return CountResult(
            counters=tally.counters(),
            errors=tally.errors,
            sent=sent,
            unacknowledged=unacknowledged,
            refused=refused,
            streams=streams,
            acknowledged=window.acknowledged,
            delivered=window.delivered,
        )


def run_worker(number: int, setting: Setting, members: Sequence[Member], pipe: Pipe) -> None:
    """A worker's process."""
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
