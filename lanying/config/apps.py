"""The apps of a server: their ids, signing keys and own settings.

``apps.json`` in the data directory (mode 0600) is a list of :class:`App`, the first one is the server's own. It is written at the start,
for apps of the configuration, and by the admin process when one is added. Beside it is a file per app with an admin token.

A running process keeps :class:`Apps`: one that is not known yet is looked for in the file again, so an added app needs no restart and no
message that could get lost.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from lanying.base import limits, texts
from lanying.base.errors import ConfigError, DataDirectoryError
from lanying.base.private import write_private
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import APP_ID_PATTERN, APP_ID_RULE, AppOverrides, Config

log = logging.getLogger(__name__)

FILE: Final = "apps.json"
TOKEN_FILE: Final = "admin-token"
KEY_BYTES: Final = 32


class App(msgspec.Struct, frozen=True):
    """One app id served here.

    :ivar key: secret that signs its tokens, hexadecimal
    :ivar admin_epoch: tokens of role admin with a smaller epoch are revoked
    :ivar own: what was set for it when it was added to a running server
    :ivar generation: of its tokens; another one makes all tokens of before void, while what else is signed with the key
        (addresses of files in messages, codes of groups) stays good
    """

    app_id: str
    name: str
    key: str
    admin_epoch: int = 0
    own: AppOverrides | None = None
    generation: str = ""

    @property
    def secret(self) -> bytes:
        """The signing key as bytes."""
        return bytes.fromhex(self.key)

    @property
    def token_key(self) -> bytes:
        """The key that signs its tokens."""
        if not self.generation:
            return self.secret
        return hmac.digest(self.secret, b"lanying tokens\0" + self.generation.encode(), "sha256")


def new(app_id: str, name: str, own: AppOverrides | None = None) -> App:
    """An app with a fresh key. :raises ConfigError: not an app id"""
    if not re.fullmatch(APP_ID_PATTERN, app_id):
        raise ConfigError(f"{app_id!r} is no app id: {APP_ID_RULE}")
    return App(app_id, name or app_id, secrets.token_hex(KEY_BYTES), own=own)


def load(data: Path) -> tuple[App, ...]:
    """The apps of a data directory; none in a new one. :raises DataDirectoryError: damaged"""
    file = data / FILE
    try:
        if not file.exists():
            return ()
        return msgspec.json.decode(texts.read(file, "give this user the right to read it"), type=tuple[App, ...])
    except msgspec.DecodeError as error:
        raise DataDirectoryError(
            f"{file}: damaged ({error}); restore it from a backup, tokens are signed with its keys"
        ) from error


def check_first(found: tuple[App, ...], config: Config, data: Path) -> None:
    """The first app is the configured one, or there is none yet. :raises DataDirectoryError: else"""
    if found and found[0].app_id != config.app_id:
        raise DataDirectoryError(
            f"{data}: serves app_id {found[0].app_id!r}, the configuration says {config.app_id!r}; "
            "set app_id back, or give another directory with --data"
        )


def save(data: Path, apps: Iterable[App]) -> None:
    """Write the list."""
    write_private(data / FILE, msgspec.json.format(msgspec.json.encode(tuple(apps))) + b"\n")


def end_tokens(data: Path) -> None:
    """Make every token of every app void, those of admins too, and write new admin tokens."""
    found = tuple(msgspec.structs.replace(app, generation=secrets.token_hex(8)) for app in load(data))
    for file in data.glob(f"{TOKEN_FILE}*"):
        file.unlink()
    save(data, found)
    write_tokens(data, found)


def token_file(data: Path, app: App, first: bool) -> Path:
    """Where an app's admin token is."""
    return data / (TOKEN_FILE if first else f"{TOKEN_FILE}.{app.app_id}")


def write_tokens(data: Path, apps: Iterable[App]) -> None:
    """Write the admin tokens that are missing."""
    for number, app in enumerate(apps):
        file = token_file(data, app, first=not number)
        if not file.exists():
            from lanying.base import tokens

            identity = tokens.Identity(app.app_id, 0, tokens.ROLE_ADMIN, app.admin_epoch)
            write_private(file, tokens.issue(app.token_key, identity).encode() + b"\n")


def settle(config: Config, apps: Iterable[App]) -> tuple[Config, tuple[App, ...]]:
    """The configuration with the settings of added apps in ``config.apps``, where the file wins key by key, and the apps with their
    display names."""
    settings, found = dict(config.apps), []
    for number, app in enumerate(apps):
        own = settings.get(app.app_id)
        if app.own is not None:
            own = settings[app.app_id] = _over(app.own, own)
        name = (own.name if own is not None else "") or (app.name if number else config.app_name)
        found.append(msgspec.structs.replace(app, name=name))
    return msgspec.structs.replace(config, apps=settings), tuple(found)


def _over(added: AppOverrides, configured: AppOverrides | None) -> AppOverrides:
    given = {} if configured is None else msgspec.structs.asdict(configured)
    return msgspec.structs.replace(added, **{key: value for key, value in given.items() if value not in (None, "")})


class Apps(Mapping[str, App]):
    """The apps as a running process knows them, by id; the server's own comes first.

    :param settings: gets those of apps that are added
    :param data: the data directory; None: no others will come
    """

    def __init__(self, apps: Iterable[App], settings: RuntimeSettings, data: Path | None = None) -> None:
        self._known = {app.app_id: app for app in apps}
        self._settings = settings
        self._file = None if data is None else data / FILE
        self._stamp: tuple[int, int] | None = None

    def __getitem__(self, app_id: str) -> App:
        if app_id not in self._known:
            self._refresh()
        return self._known[app_id]

    def __iter__(self) -> Iterator[str]:
        self._refresh()
        return iter(list(self._known))

    def __len__(self) -> int:
        return len(self._known)

    def _refresh(self) -> None:
        """Read the file again if it is another one: a look at it costs microseconds."""
        if self._file is None:
            return
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            found = load(self._file.parent)
        except (OSError, DataDirectoryError) as error:
            log.error("event=apps_unreadable error=%r", str(error))
            return
        self._settings.config, settled = settle(self._settings.config, found)
        self._known |= {app.app_id: app for app in settled if app.app_id not in self._known}

    def add(self, app: App) -> None:
        """Write it to the file, with its admin token: every process knows it from now on.

        :raises ConfigError: there is one of this id, or there are too many
        """
        assert self._file is not None
        data = self._file.parent
        there = load(data)
        if app.app_id in {other.app_id for other in there}:
            raise ConfigError(f"there is an app {app.app_id} already; `apps show {app.app_id}` describes it")
        if len(there) >= limits.APPS:
            raise ConfigError(f"{len(there)} apps are as many as one server takes; start another server")
        token_file(data, app, first=False).unlink(missing_ok=True)  # of an app that was here before a restore
        save(data, (*there, app))
        write_tokens(data, (*there, app))  # after a crash in between the next start writes it
