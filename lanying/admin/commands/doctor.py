"""``doctor``: what is wrong with the machine, the disk and the settings, each with its remedy.

Looks at files, figures, what shards could not judge and what TLS clients see; the one thing it does is 20 small flushes beside the
data, to measure them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lanying.admin.commands import entries
from lanying.admin.commands.certificate import certificate
from lanying.admin.commands.patient import Check, Finding, Patient
from lanying.admin.context import CommandContext
from lanying.base import limits
from lanying.bus.messages import ListUnreadable
from lanying.cluster.runtime import PUSH
from lanying.supervisor import machine
from lanying.supervisor.requests import StatusRequest

CLOCK_BEHIND_S: Final = 30.0
"""Ids run ahead of the clock by milliseconds when many are given out at once, by more only when the clock was set back."""
SLOW_FLUSH_MS: Final = 30.0
LIAR_FLUSH_MS: Final = 0.02
"""Nothing reaches flash or a platter in 20 µs: such a disk answers before it has written."""
HOT_C: Final = 75.0
SYNCHRONISED: Final = "run/systemd/timesync/synchronized"
ENTRIES_LISTED: Final = 10
YEAR_2024: Final = 1_704_067_200
PUSHES_WAIT: Final = 100
"""More than a vendor that answers leaves waiting."""


def processes(patient: Patient) -> Iterable[Finding]:
    """Does everything run, and has it stayed up?"""
    for row in patient.status.processes:
        name, restarts = row.name, row.restarts
        if row.state != "ready":
            yield Finding(name, "bad", row.state, "the log says why: lanying-admin log tail")
        elif restarts and row.last_exit:
            times = f"{restarts} times" if restarts > 1 else "once"
            yield Finding(
                name,
                "warn",
                f"restarted {times}, last exit code {row.last_exit}",
                "the log says why: lanying-admin log tail",
            )
        for figure in row.counted:
            if figure.name == "link_depth" and figure.labels and figure.value > limits.LINK_WINDOW:
                peer = figure.labels["to"]
                yield Finding(
                    name, "warn", f"{figure.value:.0f} messages wait for {peer}", f"look at {peer}: is it slow or down?"
                )
    if all(row.state == "ready" for row in patient.status.processes):
        yield Finding("processes", "ok", f"{len(patient.status.processes)} ready")


def descriptors(patient: Patient) -> Iterable[Finding]:
    """May every process open enough files?"""
    needed = machine.descriptors_needed(patient.config.max_connections)
    for row in patient.status.processes:
        for line in patient.read(f"proc/{row.pid}/limits").splitlines():
            if line.startswith("Max open files") and line.split()[3].isdecimal() and int(line.split()[3]) < needed:
                yield Finding(
                    "open files",
                    "bad",
                    f"{row.name} may open {line.split()[3]}, {needed} needed",
                    "sudo tools/pi_tune.sh --apply",
                )
                return
    yield Finding("open files", "ok", f"{needed} or more per process")


def backlog(patient: Patient) -> Iterable[Finding]:
    """Does the kernel keep a burst of connections?"""
    found = patient.read("proc/sys/net/core/somaxconn")
    if found.isdecimal() and int(found) < limits.LISTEN_BACKLOG:
        yield Finding("backlog", "warn", f"net.core.somaxconn is {found}", "sudo tools/pi_tune.sh --apply")
    else:
        yield Finding("backlog", "ok", found)


def clock(patient: Patient) -> Iterable[Finding]:
    """Is the clock right? Message ids and times come from it."""
    if patient.now_s < YEAR_2024:
        yield Finding(
            "clock", "bad", "before 2024", "set it: sudo timedatectl set-ntp true; a Pi without network has no clock"
        )
    elif (ahead_s := _newest_s(patient) - patient.now_s) > CLOCK_BEHIND_S:
        yield Finding(
            "clock",
            "bad",
            f"{_span(ahead_s)} behind the newest message",
            "set it: sudo timedatectl set-ntp true. If the clock is right, it was wrong when that message was sent: new ones "
            "sort behind it, and their times stand still until then",
        )
    elif (patient.root / "run/systemd/timesync").is_dir() and not (patient.root / SYNCHRONISED).exists():
        yield Finding(
            "clock", "warn", "not synchronised yet", "sudo timedatectl set-ntp true, and let it reach a time server"
        )
    else:
        yield Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(patient.now_s)) + " UTC")


def _newest_s(patient: Patient) -> float:
    """When (seconds since 1970) the newest message id was given out, by the clock of then; 0: there is none."""
    return max((row.figures.get("newest_id_s", 0.0) for row in patient.status.processes), default=0.0)


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def disk(patient: Patient) -> Iterable[Finding]:
    """Room and speed of the data's disk."""
    total, _, free = patient.files.disk_usage()
    reserve = patient.config.storage.min_free_bytes
    shown = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if free < reserve:
        yield Finding("disk space", "bad", f"{shown}: messages are refused", "make room, or set storage.retention_days")
    elif free < 4 * reserve or free < total / 20:
        yield Finding("disk space", "warn", shown, "make room, or set storage.retention_days")
    else:
        yield Finding("disk space", "ok", shown)
    if patient.flushes_ms:
        median, worst = statistics.median(patient.flushes_ms), max(patient.flushes_ms)
        shown = f"flush {median:.2f} ms, worst {worst:.1f} ms"
        if median > SLOW_FLUSH_MS:
            yield Finding(
                "disk speed", "warn", shown, "acknowledgements wait for it: an SSD on USB 3 is ten times faster"
            )
        elif median < LIAR_FLUSH_MS:
            yield Finding(
                "disk speed",
                "warn",
                f"{shown}: too fast to be true",
                "pulling the plug may lose what it claims to hold",
            )
        else:
            yield Finding("disk speed", "ok", shown)


def cards(patient: Patient) -> Iterable[Finding]:
    """Wear of SD cards and eMMC, where they report it (most SD cards do not)."""
    for device in sorted((patient.root / "sys/block").glob("mmcblk*/device")):
        name = device.parent.name
        wear = patient.read(f"sys/block/{name}/device/life_time").split()
        spare = patient.read(f"sys/block/{name}/device/pre_eol_info")
        worst = max((int(value, 16) for value in wear), default=0)
        if worst >= 9 or spare in ("0x02", "0x03"):
            yield Finding(
                name, "bad", f"worn: life time {' '.join(wear)}, spare blocks {spare}", "back up now and replace it"
            )
        elif worst:
            yield Finding(name, "ok", f"{worst * 10} % of its life time used")
        else:
            yield Finding(name, "ok", "does not report its wear")


def board(patient: Patient) -> Iterable[Finding]:
    """Temperature and throttling of a Pi."""
    temperature = patient.read("sys/class/thermal/thermal_zone0/temp")
    if temperature.isdecimal():
        celsius = int(temperature) / 1000
        hot = celsius >= HOT_C
        yield Finding(
            "temperature",
            "warn" if hot else "ok",
            f"{celsius:.0f} °C",
            "a heat sink or a fan: it slows down at 80 °C" if hot else "",
        )
    throttled = patient.read("sys/devices/platform/soc/soc:firmware/get_throttled")
    if throttled:
        bits = int(throttled, 16)
        if bits & 0b1:
            yield Finding("power", "bad", "under-voltage now", "use the board's own power supply")
        elif bits & 0b1110:
            yield Finding("power", "warn", "the clock is held down now", "cool the board")
        elif bits:
            yield Finding(
                "power",
                "warn",
                "there was under-voltage or throttling since the start",
                "check power supply and cooling",
            )
        else:
            yield Finding("power", "ok", "never throttled")


def settings(patient: Patient) -> Iterable[Finding]:
    """Settings that are legal and still a mistake."""
    config = patient.config
    shards = patient.status.shards
    found = machine.warnings(config, shards, machine.cores())
    for caution in found:
        yield Finding("settings", "warn", caution.found, caution.remedy)
    if config.storage.durability != "fsync":
        yield Finding(
            "settings", "warn", f"durability is {config.storage.durability}", "fsync loses nothing when the power fails"
        )
    memory = next(
        (
            int(line.split()[1]) << 10
            for line in patient.read("proc/meminfo").splitlines()
            if line.startswith("MemTotal")
        ),
        0,
    )
    caches = shards * (config.storage.block_cache_mb + config.storage.write_buffer_mb) << 20
    if memory and caches > memory // 4:
        yield Finding(
            "settings",
            "warn",
            f"caches may take {caches >> 20} of {memory >> 20} MB",
            "lanying-cluster start --profile auto",
        )
    elif not found and config.storage.durability == "fsync":
        yield Finding("settings", "ok", "no mistakes found")


def pushes(patient: Patient) -> Iterable[Finding]:
    """Do phones get pushes, where there is a notifier?"""
    if not patient.files.has_notifier():
        return
    figures = {row.name: row.figures for row in patient.status.processes}
    if PUSH not in figures:
        yield Finding("pushes", "bad", "there is a notifier and no push process", "lanying-cluster restart")
        return
    dropped = sum(found.get("pushes_dropped", 0) for found in figures.values())
    waiting = figures[PUSH].get("pushes_waiting", 0)
    remedy = "lanying-cluster notifier test NAME --token T says what the vendor answers, `why` what it said"
    if dropped:
        yield Finding("pushes", "warn", f"{dropped:.0f} were dropped because too many are owed", remedy)
    if waiting > PUSHES_WAIT:
        yield Finding("pushes", "warn", f"{waiting:.0f} wait for a vendor", remedy)
    if not dropped and waiting <= PUSHES_WAIT:
        yield Finding("pushes", "ok", f"{sum(found.get('pushes_owed', 0) for found in figures.values()):.0f} are owed")


def stored(patient: Patient) -> Iterable[Finding]:
    """Is there anything in the databases that cannot be judged? Devices get it as it is, or pass over it."""
    found = patient.unreadable
    for row in found[:ENTRIES_LISTED]:
        where = f"of {row['owner']} with {row['peer']}, {row['bytes']} bytes: {row['why']}"
        remedy = f"lanying-admin messages remove {row['entry']}" if row["entry"] else "lanying-cluster verify"
        yield Finding("stored entries", "warn", f"cannot be judged: {where}", remedy)
    if len(found) > ENTRIES_LISTED:
        yield Finding("stored entries", "warn", f"{len(found)} in all", "lanying-admin messages unreadable")
    if not found:
        yield Finding("stored entries", "ok", "all that were read could be judged")


CHECKS: Final[tuple[Check, ...]] = (
    processes,
    descriptors,
    backlog,
    clock,
    disk,
    cards,
    board,
    settings,
    certificate,
    pushes,
    stored,
)


def examine(patient: Patient) -> list[Finding]:
    """Every check; one that cannot look says so."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(patient)
        except (OSError, ValueError, KeyError) as error:
            found.append(Finding(check.__name__, "warn", f"could not look: {error!r}"))
    order = {"bad": 0, "warn": 1, "ok": 2}
    return sorted(found, key=lambda finding: order[finding.state])


async def doctor(context: CommandContext) -> object:
    """Every check, the worst first."""
    server = context.server
    status = await server.control(StatusRequest())
    flushes = await asyncio.to_thread(server.files.measure_flushes)
    answers, _ = await server.ask_all(ListUnreadable())
    patient = Patient(
        Path("/"), server.config, server.files, status, flushes, server.now_ms() / 1000, entries.rows(answers.values())
    )
    return [finding.row() for finding in await asyncio.to_thread(examine, patient)]
