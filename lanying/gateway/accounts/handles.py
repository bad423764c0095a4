"""Names that lead to exactly one user of an app: user names, phone numbers, push aliases."""

from __future__ import annotations

import re
from typing import Final

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import ClaimName, FindName, ReleaseName
from lanying.bus.shards import ask_name
from lanying.gateway.http.endpoint import RequestContext

TEL: Final = "tel:"
ALIAS: Final = "alias:"
"""What stands before a phone number and an alias; no user name has a colon."""
_MOBILE: Final = re.compile(r"\+[0-9]{8,20}|1[3-9][0-9]{9}")


async def find(context: RequestContext, name: str) -> int:
    """Whose name it is, 0 for nobody's."""
    app = context.app.app_id
    return await ask_name(context.shards, app, name, FindName(app, name))


async def claim(context: RequestContext, name: str, uid: int, taken: Refusal) -> None:
    """Let a name lead to ``uid``. :raises CallError: ``taken``, it leads to somebody else"""
    app = context.app.app_id
    try:
        await ask_name(context.shards, app, name, ClaimName(app, name, uid))
    except CallError as error:
        raise CallError(taken) if error.refusal is Refusal.NAME_TAKEN else error from error


async def release(context: RequestContext, name: str, uid: int) -> None:
    """Free a name that leads to ``uid``."""
    app = context.app.app_id
    await ask_name(context.shards, app, name, ReleaseName(app, name, uid))


def is_mobile(text: str) -> bool:
    """Does this look like a phone number?"""
    return _MOBILE.fullmatch(text) is not None
