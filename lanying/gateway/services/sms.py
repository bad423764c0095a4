"""How a code reaches a phone: the interface, and the provider for development."""

from __future__ import annotations

import logging
from typing import Protocol

from lanying.config.schema import Sms

log = logging.getLogger(__name__)


class SmsProvider(Protocol):
    """Somebody who delivers text messages."""

    async def send(self, mobile: str, code: str) -> None:
        """Deliver a code. :raises CallError: 503, it cannot be delivered now"""


class LogSms:
    """Writes codes to the log instead."""

    async def send(self, mobile: str, code: str) -> None:
        log.warning("event=sms_code mobile=%s code=%s", mobile, code)


def provider(config: Sms) -> SmsProvider | None:
    """The configured provider, None for none."""
    return LogSms() if config.provider == "log" else None
