"""The vendors by their number in the REST API."""

from __future__ import annotations

import re
from typing import Final

from lanying.base.errors import ConfigError
from lanying.config.notifiers import PROVIDERS, Notifier, Secret
from lanying.push.vendors.apns import Apns
from lanying.push.vendors.exchange import Vendor
from lanying.push.vendors.fcm import Fcm
from lanying.push.vendors.flyme import Flyme
from lanying.push.vendors.huawei import Huawei
from lanying.push.vendors.oppo import Oppo
from lanying.push.vendors.vivo import Vivo
from lanying.push.vendors.xiaomi import Xiaomi

KINDS: Final[dict[int, type[Vendor]]] = {
    PROVIDERS[kind.name]: kind for kind in (Apns, Huawei, Xiaomi, Flyme, Vivo, Oppo, Fcm)
}


_HERE: Final = re.compile(r"http://(127\.\d+\.\d+\.\d+|\[::1\]|localhost)(:\d+)?(/|$)")


def make(notifier: Notifier, secret: Secret) -> Vendor:
    """The vendor of a notifier. :raises ConfigError: fields are missing or malformed"""
    for option, url in (("--endpoint", notifier.endpoint), ("--login-endpoint", notifier.login_endpoint)):
        if url and not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", url):
            raise ConfigError(f"notifier {notifier.name}: {option} is an address like https://push.example.com")
        if url.startswith("http:") and not _HERE.match(url):
            raise ConfigError(
                f"notifier {notifier.name}: {option} needs https: secrets travel in it (http only to 127.0.0.1)"
            )
    kind = KINDS.get(notifier.provider)
    if kind is None:
        raise ConfigError(f"notifier {notifier.name}: there is no vendor {notifier.provider}")
    return kind(notifier, secret)


def check(notifier: Notifier, secret: Secret) -> None:
    """:raises ConfigError: a push could never be sent like this; the text says what is missing"""
    make(notifier, secret)
