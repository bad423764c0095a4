"""What refuses a start, looked at without taking anything: ``check-config`` says what ``start`` would say.

``start`` asks :func:`check_settings` too, and then takes what :func:`check_machine` only looks at.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import stat
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from lanying.base import texts, words
from lanying.base.errors import ConfigError, DataDirectoryError
from lanying.cluster.runtime import RunDirectory
from lanying.config import apps
from lanying.config.certificates import server_context
from lanying.config.notifiers import Notifiers
from lanying.config.schema import Config, FilesSettings, Sms
from lanying.supervisor import control, machine
from lanying.supervisor.datadir import read_map


def check_settings(config: Config) -> None:
    """Settings that are right by themselves and wrong on this machine; a process would end with them after the start.

    :raises ConfigError: with the remedy
    """
    machine.raise_descriptor_limit(config.max_connections)
    if config.policy.words_file:
        words.read(config.policy.words_file)
    if config.files.store == "s3":
        _check_bucket(config.files)
    if config.sms.provider == "http":
        _check_sms(config.sms)
    _check_ports(config)
    if config.listen_tls:
        _check_tls(config)
    if config.admin.listen and not is_running(config):
        _check_admin(config.admin.listen)


def _check_ports(config: Config) -> None:
    if not config.listen_tls and not (config.listen and not config.listen_redirect):
        wrong = "listen_redirect" if config.listen_redirect else "listen"
        raise ConfigError(
            f"{wrong} = {getattr(config, wrong)!r} needs an address with TLS; give --listen-tls 0.0.0.0:8443, for example"
        )
    anywhere = {"0.0.0.0", "::"}
    for (one, (host, port)), (other, (other_host, other_port)) in combinations(config.listens.items(), 2):
        if port and port == other_port and (host == other_host or anywhere & {host, other_host}):
            raise ConfigError(
                f"{other} = {getattr(config, other)}: the port is that of {one} = {getattr(config, one)}; give {other} one of its own"
            )


def _check_tls(config: Config) -> None:
    if config.tls_source == "local":
        return  # the tls process makes it
    if config.tls_source == "acme":
        _check_acme(config)
        return
    if not (config.tls_certificate and config.tls_key):
        raise ConfigError(
            "tls = 'files' needs tls_certificate and tls_key: set both to PEM files, or tls to 'local' for a certificate of the "
            "server's own"
        )
    server_context(Path(config.tls_certificate), Path(config.tls_key))


def _check_acme(config: Config) -> None:
    if not config.tls_names:
        raise ConfigError(
            "tls = 'acme' needs tls_names: the names for which a certificate is asked for, [\"chat.example\"]"
        )
    for name in config.tls_names:
        if not re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", name):
            raise ConfigError(
                f"tls_names: {name!r} is no public name in small letters; an authority vouches for names alone"
            )
    if not config.acme_directory.startswith("https://"):
        raise ConfigError(
            f"acme_directory = {config.acme_directory!r}: write the https:// address of the authority's directory"
        )
    if importlib.util.find_spec("acme") is None:
        raise ConfigError("tls = 'acme' needs a client of it: pip install 'lanying[acme]'")


def _check_bucket(files: FilesSettings) -> None:
    if not files.s3_bucket:
        raise ConfigError("files.store = 's3' needs files.s3_bucket; set it, or files.store to 'local'")
    if files.s3_prefix.startswith("/") or "//" in files.s3_prefix:
        raise ConfigError("files.s3_prefix begins with / or has // in it: write it like lanying/files/")
    if importlib.util.find_spec("obstore") is None:
        raise ConfigError("files.store = 's3' needs obstore: pip install 'lanying[s3]'")


def check_machine(config: Config) -> None:
    """Data directory and ports, which a start takes. A server that runs on this data has them already.

    :raises ConfigError: with the remedy
    """
    data = Path(os.path.realpath(config.data))
    _check_data(config, data)
    if not is_running(config):
        for key, address in config.listens.items():
            machine.try_listen(key, *address)


def check_restart(config: Config, now: Config) -> None:
    """As both, for a server that runs with ``now`` and is to start again with ``config``: it would not come back.

    :raises ConfigError: with the remedy
    """
    check_settings(config)
    _check_data(config, Path(os.path.realpath(config.data)))
    for key, address in config.listens.items():
        if address != now.listens.get(key):
            machine.try_listen(key, *address)
    if config.admin.listen not in (now.admin.listen, ""):
        _check_admin(config.admin.listen)


def is_running(config: Config) -> bool:
    """Does a server run on this data already? (A restart checks the configuration while it does.)"""
    return control.is_listening(RunDirectory(Path(config.data)))


def _check_sms(sms: Sms) -> None:
    """The hook has an address, a text with the code in it, and a secret: without one anybody could have SMS sent."""
    try:
        address = urlsplit(sms.url)
        good = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"sms.url = {sms.url!r}: write where codes are posted to, https://HOST/PATH")
    if "{code}" not in sms.template:
        raise ConfigError(f"sms.template = {sms.template!r}: write {{code}} where the code goes")
    if not sms.secret_file:
        raise ConfigError(
            "sms.provider = 'http' needs sms.secret_file: a file with the secret that signs what is posted"
        )
    if not texts.read(Path(sms.secret_file), "set sms.secret_file to a file of this user").strip():
        raise ConfigError(f"sms.secret_file = {sms.secret_file!r} is empty; write the secret into it")


def _check_admin(listen: str) -> None:
    """Bind as the admin process will: ZeroMQ takes an interface for a host and no name."""
    host, _, port = listen.rpartition(":")
    context = zmq.Context(1)
    try:
        for number in (int(port), int(port) + 1):
            context.socket(zmq.ROUTER).bind(f"tcp://{host}:{number}")
    except zmq.ZMQError as error:
        raise ConfigError(
            f"admin.listen = {listen}: {error.strerror}; give an address of this machine, as numbers, with two free ports "
            "(this one and the next), for example 0.0.0.0:8490"
        ) from error
    finally:
        context.destroy(linger=0)


def _check_data(config: Config, data: Path) -> None:
    """:raises DataDirectoryError: no start can use it"""
    try:
        place = data
        while not os.path.lexists(place):  # a start makes what is missing
            place = place.parent
        if not stat.S_ISDIR(os.stat(place).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if place == data:
            read_map(data, config.shards)
            apps.check_first(apps.load(data), config, data)
            Notifiers(data).any()
        elif len(os.fsencode(data.name)) > os.pathconf(place, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise DataDirectoryError(
            f"{data}: {error.strerror}; give a directory this user can write with --data"
        ) from error
