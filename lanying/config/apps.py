"""The apps of a server: their ids, signing keys and own settings.

``apps.json`` in the data directory (mode 0600) is a list of :class:`App`, the first one is the server's own. It is written at the start,
for apps of the configuration, and by the admin process when one is added. Beside it is a file per app with an admin token.

A running process keeps :class:`Apps`, which looks whether the file is another one whenever it is asked: neither an added app nor a new
key needs a restart, or a message that could get lost.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from lanying.base import limits, texts, tokens
from lanying.base.errors import ConfigError, DataDirectoryError, TokenError
from lanying.base.private import write_private
from lanying.base.tokens import Identity
from lanying.config.runtime import RuntimeSettings
from lanying.config.schema import APP_ID_PATTERN, APP_ID_RULE, AppOverrides, Config

log = logging.getLogger(__name__)

FILE: Final = "apps.json"
TOKEN_FILE: Final = "admin-token"
KEY_BYTES: Final = 32
KEYS_REMEMBERED: Final = 256
"""Keys of tokens that need not be made again."""


class App(msgspec.Struct, frozen=True):
    """One app id served here.

    :ivar key: secret that signs its tokens, hexadecimal
    :ivar admin_epoch: tokens of admins with a smaller epoch are revoked
    :ivar own: what was set for it when it was added to a running server
    :ivar generation: names the key of its tokens; another one makes all tokens of before void, while what else is signed with the
        secret (addresses of files in messages, codes of groups) stays good
    :ivar before: the generation before, whose tokens are good until ``before_ends`` (seconds since 1970)
    :ivar admin_before_ends: admin tokens of the epoch before are good until then (seconds since 1970)
    """

    app_id: str
    name: str
    key: str
    admin_epoch: int = 0
    own: AppOverrides | None = None
    generation: str = ""
    before: str = ""
    before_ends: int = 0
    admin_before_ends: int = 0

    @property
    def secret(self) -> bytes:
        """The signing key as bytes."""
        return bytes.fromhex(self.key)

    @property
    def token_key(self) -> bytes:
        """The key that signs its tokens."""
        return self._key(self.generation)

    def identify(self, token: str, now_ms: int) -> Identity:
        """Who a token speaks for. One of before a rotation is good while its grace lasts, and ends with it.

        :raises TokenError: forged, malformed, expired, revoked, or of another app
        """
        if not self.key:
            raise TokenError("token of an app unknown here")
        ends = 0
        try:
            found = tokens.verify(self.token_key, token, now_ms)
        except TokenError:
            ends = self.before_ends
            if ends * 1000 <= now_ms:
                raise
            found = tokens.verify(self._key(self.before), token, now_ms)
        if found.role in tokens.ADMINS and found.epoch < self.admin_epoch:
            ends = min(ends or self.admin_before_ends, self.admin_before_ends)
            if found.epoch < self.admin_epoch - 1 or ends * 1000 <= now_ms:
                raise TokenError("token revoked")
        if found.app != self.app_id:
            raise TokenError("token of another app")
        return msgspec.structs.replace(found, expires=min(found.expires or ends, ends)) if ends else found

    def rotated(self, now_s: int, grace_s: int, *, users: bool) -> App:
        """The app with tokens of before that end after ``grace_s``: those of admins, with ``users`` all.

        One rotation is remembered: what was still good from before the one before it is void.
        """
        ends = now_s + grace_s if grace_s else 0
        if users:
            new_key = secrets.token_hex(8)
            return msgspec.structs.replace(self, generation=new_key, before=self.generation, before_ends=ends)
        return msgspec.structs.replace(self, admin_epoch=self.admin_epoch + 1, admin_before_ends=ends)

    def _key(self, generation: str) -> bytes:
        return _token_key(self.secret, generation) if generation else self.secret


@lru_cache(KEYS_REMEMBERED)
def _token_key(secret: bytes, generation: str) -> bytes:
    """The key of the tokens of a generation: wanted with every login, and another one only after a rotation."""
    return hmac.digest(secret, b"lanying tokens\0" + generation.encode(), "sha256")


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


def end_tokens(data: Path, now_s: int) -> None:
    """Make every token of every app void, those of admins too, and write new admin tokens."""
    found = tuple(app.rotated(0, 0, users=True) for app in load(data))
    for file in data.glob(f"{TOKEN_FILE}*"):
        file.unlink()
    save(data, found)
    write_tokens(data, found, now_s)


def token_file(data: Path, app: App, first: bool) -> Path:
    """Where an app's admin token is."""
    return data / (TOKEN_FILE if first else f"{TOKEN_FILE}.{app.app_id}")


def write_tokens(data: Path, apps: Iterable[App], now_s: int) -> None:
    """Write the admin tokens that are missing. ``now_s``: their date"""
    for number, app in enumerate(apps):
        file = token_file(data, app, first=not number)
        if not file.exists():
            write_token(file, app, now_s)


def write_token(file: Path, app: App, now_s: int, expires: int = 0) -> None:
    """Write a new admin token of an app. ``expires``: seconds since 1970, 0 for never"""
    identity = tokens.admin(app.app_id, app.admin_epoch, now_s, expires)
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
        self._known |= {app.app_id: app for app in settled}

    def add(self, app: App, now_s: int) -> None:
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
        write_tokens(data, (*there, app), now_s)  # after a crash in between the next start writes it

    def rotate(self, app_id: str, now_s: int, grace_s: int, *, users: bool, expires: int = 0) -> App:
        """End the tokens of an app after a grace, those of admins or all, and write a new admin token.

        :param expires: of the new admin token, seconds since 1970, 0 for never
        """
        assert self._file is not None
        data = self._file.parent
        there = load(data)
        number = next(number for number, app in enumerate(there) if app.app_id == app_id)
        app = there[number].rotated(now_s, grace_s, users=users)
        save(data, (*there[:number], app, *there[number + 1 :]))
        write_token(token_file(data, app, first=not number), app, now_s, expires)
        self._refresh()
        return self._known[app_id]
