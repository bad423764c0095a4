"""ejabberd, Prosody and mosquitto as servers under test, each with a private directory and port.

All keep what they accept: the XMPP servers archive every message for both sides (XEP-0313) and acknowledge by stream
management (XEP-0198), mosquitto keeps sessions and messages of QoS 1 in its database. What each acknowledges before it is
on the disk is in :attr:`Peer.durability`; none of them syncs before it acknowledges.

Configurations are the packages' defaults except for what is written out here: addresses, no TLS (the generator would
measure OpenSSL), no limits that a benchmark would run into.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import ClassVar, Final

from bench import measure, seed
from bench.host import Host, Target
from bench.peers.xmpp import DOMAIN, user
from lanying.base.errors import LanyingError

START_S: Final = 60.0
STOP_S: Final = 20.0
PASSWORD: Final = "secret"


class PeerError(LanyingError):
    """A peer cannot be run."""


class Peer(Host):
    """A server of somebody else. Subclasses say how it is configured and started.

    :cvar package: of Debian
    :cvar program: what its package installs
    :cvar protocol: its clients', of :data:`bench.protocols.PROTOCOLS`
    :cvar durability: what an acknowledgement of it means
    """

    package: ClassVar[str]
    program: ClassVar[str]
    protocol: ClassVar[str]
    durability: ClassVar[str]

    @classmethod
    def installed(cls) -> str:
        """Version of the installed package; empty when it is not."""
        if shutil.which(cls.program) is None:
            return ""
        done = subprocess.run(("dpkg-query", "-W", "-f", "${Version}", cls.package), capture_output=True, text=True)
        return done.stdout.partition("-")[0].rpartition(":")[2] or "?"

    def __init__(self, target: Target, users: int) -> None:
        super().__init__(target, users)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None
        self.port = 0

    def _start(self, directory: Path | None) -> None:
        if not self.installed():
            raise PeerError(f"{self.package} is not installed: apt install {self.package}")
        assert directory is not None
        self.data = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.accounts = [seed.Account(number + 1, PASSWORD) for number in range(self.users)]
        self._log = directory / "peer.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment(directory),
                cwd=directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"{self.package} did not start: {self.log()}")
            time.sleep(0.1)
        self.populate(directory)

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def command(self, directory: Path) -> tuple[str, ...]:
        """Write the configuration; the command that serves in the foreground."""
        raise NotImplementedError

    def environment(self, directory: Path) -> dict[str, str]:
        """What the command needs beside ours."""
        return {}

    def populate(self, directory: Path) -> None:
        """Make the accounts of a server that runs."""

    def settings(self) -> dict[str, object]:
        """For the record."""
        return {"system": f"{self.package} {self.installed()}", "durability": self.durability}

    def meter(self) -> measure.Meter:
        """All processes below the one we started."""
        assert self._process is not None
        return measure.Meter({f"{measure.name(pid)} {pid}": pid for pid in measure.children(self._process.pid)})

    def log(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:] if self._log is not None else ""


class Ejabberd(Peer):
    """ejabberd with mod_mam in Mnesia, its default database."""

    package, program, protocol = "ejabberd", "ejabberdctl", "xmpp"
    durability = "mod_mam in Mnesia, written behind the acknowledgement"

    def command(self, directory: Path) -> tuple[str, ...]:
        """The emulator with the application, without distribution; accounts are made by an expression."""
        (directory / "ejabberd.yml").write_text(f"""\
loglevel: warning
hosts: ["{DOMAIN}"]
listen:
  - {{port: {self.port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: false, shaper: none, access: all}}
auth_method: internal
auth_password_format: plain
default_db: mnesia
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
modules:
  mod_roster: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_mam: {{default: always, assume_mam_usage: true, compress_xml: false}}
  mod_stream_mgmt: {{ack_timeout: 300, max_ack_queue: infinity}}
""")
        make = f'ejabberd_auth:try_register(<<"u", (integer_to_binary(N))/binary>>, <<"{DOMAIN}">>, <<"{PASSWORD}">>)'
        accounts = f'[{make} || N <- lists:seq(1, {self.users})], file:write_file("{directory}/ready", <<>>).'
        emulator = ("erl", "+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir", f'"{directory}/mnesia"')
        return (*emulator, "-s", "ejabberd", "-eval", accounts)

    def environment(self, directory: Path) -> dict[str, str]:
        """Where Debian keeps the libraries."""
        return {
            "ERL_LIBS": "/usr/lib/x86_64-linux-gnu:/usr/lib/aarch64-linux-gnu",
            "EJABBERD_CONFIG_PATH": str(directory / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(directory / "ejabberd.log"),
            "HOME": str(directory),
        }

    def populate(self, directory: Path) -> None:
        """Wait for the expression."""
        deadline = time.monotonic() + START_S
        while not (directory / "ready").exists():
            if time.monotonic() > deadline:
                raise PeerError(f"ejabberd made no accounts: {self.log()}")
            time.sleep(0.1)


class Prosody(Peer):
    """Prosody with mod_mam in its default storage, files."""

    package, program, protocol = "prosody", "prosody", "xmpp"
    durability = "mod_mam in files, written before the acknowledgement, never synced"

    def command(self, directory: Path) -> tuple[str, ...]:
        """Accounts are files."""
        folder = directory / "data" / DOMAIN / "accounts"
        folder.mkdir(parents=True)
        for account in self.accounts:
            (folder / f"{user(account.uid)}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};\n')
        config = directory / "prosody.cfg.lua"
        config.write_text(f"""\
run_as_root = true
daemonize = false
pidfile = "{directory}/prosody.pid"
data_path = "{directory}/data"
admins = {{}}
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "mam", "smacks" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_ports = {{ {self.port} }}
interfaces = {{ "127.0.0.1" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
default_archive_policy = true
archive_expires_after = "never"
smacks_max_queue_size = 100000
limits = {{}}
log = {{ warn = "*console" }}
VirtualHost "{DOMAIN}"
""")
        return ("prosody", "-F", "--config", str(config))


class Mosquitto(Peer):
    """mosquitto with persistence and QoS 1. It archives nothing: a delivered message is gone."""

    package, program, protocol = "mosquitto", "mosquitto", "mqtt"
    durability = "QoS 1, in memory, database written every 60 s; nothing archived"

    def command(self, directory: Path) -> tuple[str, ...]:
        """One configuration file."""
        config = directory / "mosquitto.conf"
        config.write_text(f"""\
listener {self.port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {directory}/
autosave_interval 60
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
log_type error
user root
""")
        return ("mosquitto", "-c", str(config))


PEERS: Final[dict[str, type[Peer]]] = {peer.package: peer for peer in (Ejabberd, Prosody, Mosquitto)}
