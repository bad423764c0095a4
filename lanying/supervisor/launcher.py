"""The steps of ``lanying-cluster start``, from configuration to supervisor; each refuses before anything runs."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from lanying.base import limits, log_file, logs
from lanying.base.errors import DataDirectoryError
from lanying.cluster.launch import Launch
from lanying.config import allotment
from lanying.config.notifiers import Notifiers
from lanying.config.schema import Config
from lanying.supervisor import daemon as background
from lanying.supervisor import machine, precheck, supervisor
from lanying.supervisor.datadir import JOURNAL_FILE, DataDirectory
from lanying.supervisor.move import MOVER, Move
from lanying.supervisor.plan import COMMANDS, Plan, spawn
from lanying.supervisor.supervisor import RESTART

log = logging.getLogger("lanying.supervisor")

__all__ = ["DURABILITY", "RESTART", "start"]

PROGRAM = "lanying-cluster"

DURABILITY: Mapping[str, str] = {
    "fsync": "acknowledged means on the disk: nothing acknowledged is lost, not even by pulling the plug",
    "interval": "flushed every {interval_ms} ms: pulling the plug can lose that much, kill -9 loses nothing",
    "os": "left to the kernel: pulling the plug can lose about 30 s, kill -9 loses nothing",
}


def start(
    read_config: Callable[[], Config],
    *,
    daemon: bool = False,
    commands: Mapping[str, tuple[str, ...]] = COMMANDS,
    hung_after_s: float | None = None,
) -> int:
    """Start a server and serve until it is asked to stop.

    :param read_config: reads the configuration; called again before a restart
    :param commands: what runs as shard, gateway and router
    :returns: :data:`RESTART`; any other end leaves with its exit code
    :raises ConfigError: the start is refused, and the process is as it was
    """
    with contextlib.ExitStack() as undo:
        undo.callback(os.umask, os.umask(0o077))
        config = read_config()
        plan = prepare(config, read_config, commands, hung_after_s)
        undo.pop_all()
    url = machine.url("http", plan.config.address)
    if config.log_format == "text":  # else every line there is an object
        _banner(plan, url, daemon=daemon)
    report: Callable[[int, str], None] = _print_ready
    if daemon:
        report = background.detach(plan.data.log_file)
        plan.data.write_pid()
    log_file.remember()
    logs.setup("supervisor", config.log_level, config.log_format)
    if plan.data.copied:
        log.warning(
            "event=data_copied remedy='%s is a copy of where the server was started last; never run the original too: tokens are good in "
            "both. A copy that is older than the original: make a backup and restore it, that ends the tokens given out since'",
            plan.data.path,
        )
    ready_line = f"ready {url} shards={plan.shard_map.shards} app={config.app_id} pid={os.getpid()}"
    gc.set_threshold(100_000, 50, 100)
    code = supervisor.run(plan, lambda: report(0, ready_line), lambda reason: report(1, reason))
    if code == RESTART:  # who connects meanwhile waits
        machine.keep(
            {
                "listen": (plan.listener, *config.address),
                "metrics_port": (plan.metrics, "127.0.0.1", config.metrics_port),
            }
            | ({"listen_tls": (plan.tls, *config.tls_address)} if plan.tls else {})
        )
        plan.data.close()
        return code
    plan.listener.close()
    plan.metrics.close()
    if plan.tls:
        plan.tls.close()
    plan.data.close()
    sys.exit(code)


def prepare(
    config: Config,
    read_config: Callable[[], Config],
    commands: Mapping[str, tuple[str, ...]] = COMMANDS,
    hung_after_s: float | None = None,
) -> Plan:
    """Check the machine, lock the data directory, bind the ports.

    :raises ConfigError: with the remedy; everything taken so far is given back
    """
    precheck.check_settings(config)
    cores = machine.cores()
    data = DataDirectory(Path(config.data))
    with contextlib.ExitStack() as undo:
        undo.callback(data.close)
        settle(config, data, commands)
        data.read_map(config.shards)
        host, port = config.address
        listener = undo.enter_context(machine.listen("listen", host, port))
        tls = undo.enter_context(machine.listen("listen_tls", *config.tls_address)) if config.listen_tls else None
        metrics = undo.enter_context(machine.listen("metrics_port", "127.0.0.1", config.metrics_port))
        push = Notifiers(data.path).any()
        shard_map, apps = data.prepare(config, config.shards or min(len(cores), limits.MAX_SHARDS))
        undo.pop_all()
    bound = msgspec.structs.replace(
        config,
        listen=_bound(host, listener),
        listen_tls=_bound(config.tls_address[0], tls) if tls else "",
        shards=shard_map.shards,
        data=str(data.path),
    )
    return Plan(
        bound,
        data,
        shard_map,
        apps,
        listener,
        metrics,
        cores,
        commands,
        recheck=lambda: _recheck(read_config, config),
        hung_after_s=hung_after_s,
        push=push,
        allotted=allotment.allot(machine.measured(), shard_map.shards, config.limits),
        tls=tls,
    )


def _bound(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{listener.getsockname()[1]}"


def _recheck(read_config: Callable[[], Config], now: Config) -> Config:
    """:raises ConfigError: a restart would not come back"""
    config = read_config()
    precheck.check_restart(config, now)
    return config


def settle(config: Config, data: DataDirectory, commands: Mapping[str, tuple[str, ...]]) -> None:
    """Finish or give up what an interrupted move of slots has left.

    :raises DataDirectoryError: it cannot be finished
    """
    last = Move.load(data.path)
    if data.shard_map is None or ((last is None or last.ended) and not (data.path / JOURNAL_FILE).exists()):
        return
    launch = Launch(MOVER, config, str(data.path), data.shard_map, ())
    if spawn((*commands[MOVER], "settle"), launch, data.lock_fd).wait():
        raise DataDirectoryError(
            f"{data.path}: an interrupted move of slots cannot be finished, the lines above say why; "
            "when that is put right, start again"
        )


def _print_ready(code: int, line: str) -> None:
    """In the foreground the log has said already why a start failed."""
    if not code:
        print(line, flush=True)


def _typed(data: DataDirectory, command: str) -> str:
    """A command about this server, as it is to be typed where it was started."""
    own = Path(sys.argv[0])
    program = str(own) if own.name == PROGRAM and shutil.which(PROGRAM) is None else PROGRAM
    elsewhere = "" if data.path == Path("data").resolve() else f" --data {shlex.quote(str(data.path))}"
    return f"`{program} {command}{elsewhere}`"


def _tls_rows(plan: Plan, url: str) -> dict[str, str]:
    config = plan.config
    rows = {"with TLS": url}
    if config.tls_source == "local":
        page = machine.url("http", config.tls_address) + "/trust"
        rows["first visit"] = (
            f"{page} leads a device to trust this server; {_typed(plan.data, 'trust')} shows it as a QR code, and what to compare"
        )
    return rows


def _banner(plan: Plan, url: str, *, daemon: bool) -> None:
    """What a person wants to know, on standard error."""
    from rich.console import Console

    config = plan.config
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    storage = config.storage
    tls = machine.url("https", config.tls_address) if config.listen_tls else ""
    rows = {
        "address": url,
        **(_tls_rows(plan, tls) if tls else {}),
        "app id": config.app_id,
        "dnsServer": f"{url}/v2/app_dns" + (f", with TLS {tls}/v2/app_dns" if tls else ""),
        "admin token": f"in {plan.data.token_file}",
        "data": f"{plan.data.path}, {plan.shard_map.shards} shards",
        "durability": f"{storage.durability}: {DURABILITY[storage.durability].format(interval_ms=storage.interval_ms)}",
        "registration": "open: anybody may create an account"
        if config.accounts.open_registration
        else "closed: start with --open-registration to let people create accounts",
    }
    for name, text in rows.items():
        console.print(f"{name:<14}", style="bold", end="", markup=False)
        console.print(text, markup=False)
    for warning in machine.warnings(config, plan.shard_map.shards, plan.cores):
        console.print(f"warning: {warning}", style="yellow", markup=False)
    console.print(
        "next: point an app's dnsServer at the address above, or try the example in the README; "
        f"{_typed(plan.data, 'status')} shows the processes, {_typed(plan.data, 'stop') if daemon else 'Ctrl-C'} stops them",
        markup=False,
    )
