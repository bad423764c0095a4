"""The steps of ``lanying-cluster start``, from configuration to supervisor; each refuses before anything runs."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
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
from lanying.supervisor import banner, machine, precheck, supervisor
from lanying.supervisor import daemon as background
from lanying.supervisor.datadir import JOURNAL_FILE, DataDirectory
from lanying.supervisor.move import MOVER, Move
from lanying.supervisor.plan import MODULES, Plan, spawn
from lanying.supervisor.supervisor import RESTART

log = logging.getLogger("lanying.supervisor")

__all__ = ["RESTART", "start"]


def start(
    read_config: Callable[[], Config],
    *,
    daemon: bool = False,
    qr: bool | None = None,
    modules: Mapping[str, str] = MODULES,
    hung_after_s: float | None = None,
) -> int:
    """Start a server and serve until it is asked to stop.

    :param read_config: reads the configuration; called again before a restart
    :param qr: print a QR code of the address for phones; None: on a terminal
    :param modules: what runs as shard, gateway and router
    :returns: :data:`RESTART`; any other end leaves with its exit code
    :raises ConfigError: the start is refused, and the process is as it was
    """
    with contextlib.ExitStack() as undo:
        undo.callback(os.umask, os.umask(0o077))
        config = read_config()
        plan = prepare(config, read_config, modules, hung_after_s)
        undo.pop_all()
    if config.log_format == "text":  # else every line there is an object
        banner.show(plan, daemon=daemon, qr=qr)
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
    ready_line = (
        f"ready {machine.urls(plan.config)[0]} shards={plan.shard_map.shards} app={config.app_id} pid={os.getpid()}"
    )
    gc.set_threshold(100_000, 50, 100)
    code = supervisor.run(plan, lambda: report(0, ready_line), lambda reason: report(1, reason))
    if code == RESTART:  # who connects meanwhile waits
        machine.keep({key: (listener, *config.listens[key]) for key, listener in plan.listeners.items()})
        plan.data.close()
        return code
    for listener in plan.listeners.values():
        listener.close()
    plan.data.close()
    sys.exit(code)


def prepare(
    config: Config,
    read_config: Callable[[], Config],
    modules: Mapping[str, str] = MODULES,
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
        settle(config, data, modules)
        data.read_map(config.shards)
        listeners = machine.listen_all(config.listens)
        for listener in listeners.values():
            undo.enter_context(listener)
        push = Notifiers(data.path).any()
        shard_map, apps = data.prepare(config, config.shards or min(len(cores), limits.MAX_SHARDS))
        undo.pop_all()
    bound = msgspec.structs.replace(
        config,
        **{key: _bound(config.listens[key][0], one) for key, one in listeners.items() if key != "metrics_port"},
        shards=shard_map.shards,
        data=str(data.path),
    )
    return Plan(
        bound,
        data,
        shard_map,
        apps,
        listeners,
        cores,
        modules,
        recheck=lambda: _recheck(read_config, config),
        hung_after_s=hung_after_s,
        push=push,
        allotted=allotment.allot(machine.measured(), shard_map.shards, config.limits),
    )


def _bound(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{listener.getsockname()[1]}"


def _recheck(read_config: Callable[[], Config], now: Config) -> Config:
    """:raises ConfigError: a restart would not come back"""
    config = read_config()
    precheck.check_restart(config, now)
    return config


def settle(config: Config, data: DataDirectory, modules: Mapping[str, str]) -> None:
    """Finish or give up what an interrupted move of slots has left.

    :raises DataDirectoryError: it cannot be finished
    """
    last = Move.load(data.path)
    if data.shard_map is None or ((last is None or last.ended) and not (data.path / JOURNAL_FILE).exists()):
        return
    launch = Launch(MOVER, config, str(data.path), data.shard_map, ())
    if spawn(modules[MOVER], "settle", launch, data.lock_fd).wait():
        raise DataDirectoryError(
            f"{data.path}: an interrupted move of slots cannot be finished, the lines above say why; "
            "when that is put right, start again"
        )


def _print_ready(code: int, line: str) -> None:
    """In the foreground the log has said already why a start failed."""
    if not code:
        print(line, flush=True)
