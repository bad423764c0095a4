"""What a start needs from the machine: cores, descriptors, the public port. Every refusal names the remedy."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import resource
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.allotment import Machine
from lanying.config.schema import Config

KEPT: Final = "_LANYING_LISTENERS"
"""Environment of a program that gets listeners handed over: ``[pid, {setting: [descriptor, host, port]}]``."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
CONTAINERS: Final = ("docker", "veth", "br-", "virbr", "podman", "cni")
"""Interfaces of networks inside this machine begin so."""


def cores() -> list[int]:
    """Cores this process may run on."""
    return sorted(os.sched_getaffinity(0))


CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUP: Final = Path("/proc/self/cgroup")


def measured(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> Machine:
    """Memory and cores of this machine, or of what this process is confined to."""
    memory = min([psutil.virtual_memory().total, *_confined(cgroups, own)])
    return Machine(memory >> 20, len(cores()))


def _confined(cgroups: Path, own: Path) -> Iterator[int]:
    """Limits of memory, in bytes, of the control groups this process is in: its own, and all around it. Version 2 and 1."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = cgroups / "memory" if controllers else cgroups
        inner = top / path.lstrip("/")
        for group in (inner, *inner.parents):
            if group.is_relative_to(top):
                for name in ("memory.limit_in_bytes",) if controllers else ("memory.max", "memory.high"):
                    yield from _number_in(group / name)


def _number_in(file: Path) -> Iterator[int]:
    """The number a file has; nothing when it has another word, or is not there."""
    try:
        yield int(file.read_text())
    except (OSError, ValueError):
        return


def pin(shard: int, available: list[int]) -> int:
    """Core of a shard; more shards than cores share them in turn."""
    return available[shard % len(available)]


def descriptors_needed(max_connections: int) -> int:
    """Per process: the hash of user ids may put every connection on one shard."""
    return max_connections + limits.RESERVED_DESCRIPTORS


def raise_descriptor_limit(max_connections: int) -> None:
    """Raise the soft limit as far as needed; children inherit it.

    :raises ConfigError: the hard limit is too low
    """
    needed = descriptors_needed(max_connections)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            fits = max(hard - limits.RESERVED_DESCRIPTORS, 0)
            raise ConfigError(
                f"max_connections = {max_connections} needs {needed} file descriptors per process, the hard limit is "
                f"{hard}; raise it with tools/pi_tune.sh (or `ulimit -Hn {needed}` as root), "
                f"or set max_connections to at most {fits}"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def keep(listeners: Mapping[str, tuple[socket.socket, str, int]]) -> None:
    """Hand listeners over to the program this process is about to become: connections wait in their queues meanwhile.

    :param listeners: with host and port as they are configured, by setting
    """
    for listener, _, _ in listeners.values():
        listener.set_inheritable(True)
    kept = {key: (listener.detach(), host, port) for key, (listener, host, port) in listeners.items()}
    os.environ[KEPT] = json.dumps([os.getpid(), kept])


def _kept(key: str, host: str, port: int) -> socket.socket | None:
    """The listener of a setting that was handed over, if it is still the one that is configured."""
    pid, kept = json.loads(os.environ.pop(KEPT, "[0, {}]"))
    fd, *address = kept.pop(key, (-1, "", 0)) if pid == os.getpid() else (-1, "", 0)
    if kept:
        os.environ[KEPT] = json.dumps([pid, kept])
    if fd < 0:
        return None
    listener = socket.socket(fileno=fd)
    if address != [host, port]:
        listener.close()
        return None
    listener.set_inheritable(False)
    return listener


def listen(key: str, host: str, port: int) -> socket.socket:
    """A listener, ready to be inherited by a child. Accepted sockets inherit its options.

    :param key: the setting the address comes from, for the error
    :raises ConfigError: the address cannot be had
    """
    if (kept := _kept(key, host, port)) is not None:
        return kept
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (socket.gaierror, OSError) as error:
        raise ConfigError(
            f"{key} = {host}:{port}: {error.strerror}; write HOST:PORT with an address of this machine"
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _use_cubic(listener)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(limits.LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{key} = {host}:{port}: {_explain_bind(error, key, host)}") from error
    return listener


def listen_all(addresses: Mapping[str, tuple[str, int]]) -> dict[str, socket.socket]:
    """A listener for every setting; those that were handed over and are not wanted any more are closed.

    :raises ConfigError: an address cannot be had; none is kept
    """
    with contextlib.ExitStack() as undo:
        found = {key: undo.enter_context(listen(key, host, port)) for key, (host, port) in addresses.items()}
        undo.pop_all()
    pid, kept = json.loads(os.environ.pop(KEPT, "[0, {}]"))
    if pid == os.getpid():
        for fd, _, _ in kept.values():
            os.close(fd)
    return found


def try_listen(key: str, host: str, port: int) -> None:
    """Could a start listen there? Errors as of :func:`listen`."""
    listen(key, host, port).close()


def _use_cubic(listener: socket.socket) -> None:
    """A tenth less CPU per message than bbr on a local network (measured); kernels without it keep their own."""
    try:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    except OSError:
        pass


def _explain_bind(error: OSError, key: str, host: str) -> str:
    where = f"with --{key.replace('_', '-')}" if key.startswith("listen") else f"as {key}"
    if error.errno == errno.EADDRINUSE:
        return f"the port is taken; stop what listens there (`ss -ltnp` shows it), or give another one {where}"
    if error.errno == errno.EACCES:
        return f"ports below 1024 are for root; give a higher one {where}, or the right CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; give one of its own or 0.0.0.0 {where}"
    return f"{error.strerror}; give another address {where}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url(scheme: str, address: tuple[str, int]) -> str:
    """Where people reach a port of this machine."""
    host, port = reachable_host(address[0]), address[1]
    return f"{scheme}://{host}" if port == DEFAULT_PORTS[scheme] else f"{scheme}://{host}:{port}"


def tls_url(config: Config) -> str:
    """Where people reach the port for TLS, by a name that its certificate is for; empty: there is none."""
    if not config.listen_tls:
        return ""
    host, port = config.tls_address
    named = config.tls_source != "local" and config.tls_names and not is_loopback(host)
    return url("https", (config.tls_names[0] if named else host, port))


def urls(config: Config) -> list[str]:
    """Where people reach this server, without TLS before with it."""
    plain = [url("http", config.address)] if config.listen else []
    return [*plain, *filter(None, [tls_url(config)])]


def reachable_host(host: str) -> str:
    """The host to show people: for 0.0.0.0 and :: this machine's address in its network; IPv6 in brackets."""
    if host in ("0.0.0.0", "::"):
        host = _own_address(socket.AF_INET6 if host == "::" else socket.AF_INET)
    return f"[{host}]" if ":" in host else host


def _own_address(family: socket.AddressFamily) -> str:
    """Where the way to everybody else begins; in a network that leads nowhere, such as one of this machine's own, where it is up."""
    version6 = family == socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: the kernel only picks the source address.
            probe.connect(("2001:db8::1" if version6 else "192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            pass
    up = {name for name, found in psutil.net_if_stats().items() if found.isup}
    addresses = sorted(
        one.address
        for name, found in psutil.net_if_addrs().items()
        if name in up and not name.startswith(CONTAINERS)
        for one in found
        if one.family == family and not is_loopback(one.address) and "%" not in one.address
    )
    return addresses[0] if addresses else "::1" if version6 else "127.0.0.1"


class Caution(NamedTuple):
    """What a start goes on with but its operator should know, and what to do about it."""

    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


def warnings(config: Config, shards: int, available: list[int]) -> list[Caution]:
    """What is legal in these settings, on this machine, and may be a mistake."""
    found = []
    listens = config.listens
    public = [listens[it][0] for it in ("listen", "listen_tls") if it in listens and not is_loopback(listens[it][0])]
    if config.accounts.open_registration and public:
        found.append(
            Caution(
                f"open registration on {public[0]}: anybody who can reach this machine may create an account",
                "close it with --no-open-registration when everybody has one",
            )
        )
    if config.listen and not is_loopback(config.address[0]):
        found.append(
            Caution(
                f"connections to {config.listen} are not encrypted",
                "outside a trusted network give --listen-tls 0.0.0.0:8443 and --listen 127.0.0.1:8480 (docs/tls.md), or put a TLS "
                "proxy in front (docs/proxy.md)",
            )
        )
    if shards > len(available):
        cores = len(available)
        found.append(
            Caution(
                f"{shards} shards on {cores} cores: they wrap around and share cores in turn",
                f"harmless for a trial; `lanying-cluster reshard --shards {cores}` while it is stopped gives each shard its own",
            )
        )
    backlog = _somaxconn()
    if backlog < min(limits.LISTEN_BACKLOG, config.max_connections):
        found.append(
            Caution(f"net.core.somaxconn is {backlog}: a burst of logins may be refused", "tools/pi_tune.sh raises it")
        )
    return found


def _somaxconn() -> int:
    try:
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return limits.LISTEN_BACKLOG
