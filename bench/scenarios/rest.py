"""REST calls that read, at a rate: profiles, settings, friends, groups, devices, unread lists, by users of all shards."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import Final

from bench import measure, results
from bench.bed import Common, Report
from bench.results import Run
from bench.secure import trusting
from bench.seed import Account

READS: Final = (
    ("GET", "/user/profile"),
    ("GET", "/user/settings"),
    ("GET", "/roster/list"),
    ("POST", "/roster/list"),
    ("GET", "/group/user_joined"),
    ("GET", "/user/device/list"),
    ("GET", "/message/unread"),
    ("GET", "/user/conversation/pin_list"),
)
CONNECTIONS: Final = 32


class Caller:
    """One kept-alive connection."""

    def __init__(self, host: str, port: int, app_id: str, context: ssl.SSLContext | None) -> None:
        self._address = (host, port)
        self._app_id = app_id
        self._context = context

    async def connect(self) -> None:
        """Open it."""
        self._reader, self._writer = await asyncio.open_connection(*self._address, ssl=self._context)

    async def ask(self, method: str, path: str, account: Account) -> str:
        """Make a call; empty when it succeeded, else what went wrong."""
        body = json.dumps({"list": [account.uid]}).encode() if method == "POST" else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self._address[0]}\r\napp_id: {self._app_id}\r\n"
            f"access-token: {account.token}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        code = json.loads(await self._reader.readexactly(length))["code"]
        return "" if code == 200 else f"{method} {path} answered {code}"

    def close(self) -> None:
        """Close it."""
        self._writer.close()


def rest(common: Common, report: Report, *, users: int, rate: float, duration: float, warm: float) -> Run:
    """Open loop: a call every ``1/rate`` seconds, whether earlier ones are answered or not; latency counts from when it was due."""
    started_load = os.getloadavg()[0]
    with common.host(common.target, users) as server:
        meter = server.meter()
        settings = {"users": users, "rate": rate, "duration": duration} | server.settings()
        machine = results.machine(server.data or Path())
        machine["load_before"] = round(started_load, 2)
        run = Run("rest", settings, common.seed, machine=machine)
        context = trusting(server.authority) if server.tls else None
        callers = [Caller(*server.address, common.target.app_id, context) for _ in range(CONNECTIONS)]
        asyncio.run(_load(run, meter, callers, server.accounts, report, rate, duration, warm))
    return run


async def _load(
    run: Run,
    meter: measure.Meter,
    callers: list[Caller],
    accounts: list[Account],
    report: Report,
    rate: float,
    duration: float,
    warm: float,
) -> None:
    for caller in callers:
        await caller.connect()
    latencies, errors = array("I"), Counter[str]()
    due: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
    first = int(rate * warm)
    total = first + int(rate * duration)

    async def serve(caller: Caller) -> None:
        while (order := await due.get()) is not None:
            number, at = order
            method, path = READS[number % len(READS)]
            wrong = await caller.ask(method, path, accounts[number // len(READS) % len(accounts)])
            if number >= first:
                latencies.append(min(int((time.monotonic() - at) * 1e6), 1 << 31))
            if wrong:
                errors[wrong] += 1

    tasks = [asyncio.ensure_future(serve(caller)) for caller in callers]
    begin = time.monotonic()
    before, other = meter.sample(), measure.machine_busy()
    for number in range(total):
        at = begin + number / rate
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        if number == first:
            before, other = meter.sample(), measure.machine_busy()
        due.put_nowait((number, at))
        if number % 100 == 0:
            report("calls", number, total)
    for _ in callers:
        due.put_nowait(None)
    await asyncio.gather(*tasks)
    seconds = time.monotonic() - begin - warm
    after = meter.sample()
    used = measure.difference(after, before)
    run.figures |= {
        "requests": len(latencies),
        "requests_per_s": round(len(latencies) / seconds, 1),
        "failed": errors.total(),
        "cpu_ms_per_request": round((after.total - before.total).cpu_s / max(1, len(latencies)) * 1e3, 4),
        "machine_cores": round((measure.machine_busy() - other) / seconds, 2),
    }
    run.processes = {name: {"user_s": it.user_s, "system_s": it.system_s} for name, it in used.items()}
    run.latency["request"] = results.summary([latencies])
    run.add_errors([errors])
    for caller in callers:
        caller.close()
