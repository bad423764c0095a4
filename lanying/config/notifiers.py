"""Notifiers: a vendor's certificate or keys under a name, per app, encrypted in the data directory.

``notifiers.json``  list of :class:`Notifier`; ``secret`` is a Fernet token over the JSON of :class:`Secret`
``notifiers.key``   the Fernet key (mode 0600, as is the list)

``lanying-cluster notifier`` writes them, running servers read them again when they have changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from lanying.base import texts
from lanying.base.errors import ConfigError
from lanying.base.private import write_private

LIST_FILE: Final = "notifiers.json"
KEY_FILE: Final = "notifiers.key"
PROVIDERS: Final = {"apns": 1, "huawei": 2, "xiaomi": 3, "flyme": 4, "vivo": 5, "oppo": 6, "fcm": 7}
"""Push channels by their name in counts, and their number in the REST API."""


class Secret(msgspec.Struct, frozen=True):
    """What only the push service and admins see."""

    app_key: str = ""
    app_secret: str = ""
    certificate: str = ""


class Notifier(msgspec.Struct, frozen=True):
    """One notifier; docs/push.md says what a vendor's fields are.

    :ivar environment: 0 development, 1 production
    :ivar app_id: the vendor's
    :ivar secret: encrypted
    :ivar endpoint: base URL instead of the vendor's own: a regional host, a proxy, a test
    :ivar package: name of the Android package
    :ivar login_endpoint: the same for the host that gives access tokens, where that is another one
    """

    app: str
    name: str
    provider: int
    environment: int
    app_id: str
    secret: str
    endpoint: str = ""
    login_endpoint: str = ""
    package: str = ""


class Notifiers:
    """The notifiers of a data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._list = data / LIST_FILE
        self._key = data / KEY_FILE
        self._stamp: tuple[int, int] | None = None
        self._known: list[Notifier] = []

    def any(self) -> bool:
        """Has any app one? :raises ConfigError: the list is damaged"""
        self._refresh()
        return bool(self._known)

    def of(self, app: str) -> list[Notifier]:
        """Those of an app, by name."""
        self._refresh()
        return sorted((it for it in self._known if it.app == app), key=lambda it: it.name)

    def find(self, app: str, provider: int, environment: int) -> Notifier | None:
        """The first notifier of a vendor."""
        return next((it for it in self.of(app) if (it.provider, it.environment) == (provider, environment)), None)

    def secret(self, notifier: Notifier) -> Secret:
        """Decrypt. :raises ConfigError: the key is lost or another one"""
        from cryptography.fernet import Fernet, InvalidToken  # 10 MB that most processes never need

        try:
            plain = Fernet(self._key.read_bytes()).decrypt(notifier.secret.encode())
        except (OSError, ValueError, InvalidToken) as error:
            raise ConfigError(
                f"{self._key}: does not open notifier {notifier.name}; restore it from a backup, or add the notifier again"
            ) from error
        return msgspec.json.decode(plain, type=Secret)

    def put(
        self,
        app: str,
        name: str,
        provider: int,
        environment: int,
        app_id: str,
        secret: Secret,
        endpoint: str = "",
        login_endpoint: str = "",
        package: str = "",
    ) -> None:
        """Add a notifier, or replace the one of this app and name."""
        from cryptography.fernet import Fernet

        if not self._key.exists():
            write_private(self._key, Fernet.generate_key())
        sealed = Fernet(self._key.read_bytes()).encrypt(msgspec.json.encode(secret)).decode()
        self._refresh()
        others = [it for it in self._known if (it.app, it.name) != (app, name)]
        self._save(
            [*others, Notifier(app, name, provider, environment, app_id, sealed, endpoint, login_endpoint, package)]
        )

    def remove(self, app: str, name: str) -> bool:
        """Remove a notifier; was it there?"""
        self._refresh()
        left = [it for it in self._known if (it.app, it.name) != (app, name)]
        found = len(left) < len(self._known)
        if found:
            self._save(left)
        return found

    def _save(self, notifiers: list[Notifier]) -> None:
        write_private(self._list, msgspec.json.format(msgspec.json.encode(notifiers)) + b"\n")

    def _refresh(self) -> None:
        """:raises ConfigError: the list is damaged"""
        try:
            status = self._list.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, []
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            content = texts.read(self._list, "give this user the right to read it")
            self._known = msgspec.json.decode(content, type=list[Notifier])
        except msgspec.DecodeError as error:
            raise ConfigError(f"{self._list}: damaged ({error}); restore it from a backup") from error
        self._stamp = stamp
