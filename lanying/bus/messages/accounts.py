"""Calls about accounts, their devices, sessions and passwords; asked of the shard that owns the user unless it says otherwise."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lanying.bus.messages.base import Request


class ClaimAccount(Request[int], tag=41):
    """Create an account; sent to the shard of the name's slot. Result: the uid (same slot). Errors: 10004, the name is taken."""

    app: str
    username: str
    password_hash: str


class FindName(Request[int], tag=42):
    """The uid of a user name of an app, 0 for an unknown name. Sent to the shard of the name."""

    app: str
    username: str


class AccountInfo(msgspec.Struct, array_like=True, frozen=True):
    """An account without its secret: what the store keeps (``shard/accounts.py``) and what calls answer.

    :ivar state: ``STATE_NORMAL`` …
    :ivar epoch: tokens with a smaller one are revoked
    """

    uid: int
    app: str
    username: str
    epoch: int = 0
    created_ms: int = 0
    state: int = 0
    nick_name: str = ""
    avatar: str = ""
    description: str = ""
    mobile: str = ""
    email: str = ""
    public_info: str = ""
    private_info: str = ""
    alias: str = ""
    auth_mode: int = 1
    auth_question: str = ""
    auth_answer: str = ""
    group_confirm: bool = False
    auto_download: bool = True
    no_push: bool = False
    no_push_detail: bool = False
    no_push_start_hour: int = 0
    no_push_end_hour: int = 0
    no_sounds: bool = False
    vibratory: bool = True
    push_nick_name: str = ""
    push_token: str = ""
    silence_start_time: int = 0
    silence_end_time: int = 0


class GetAccounts(Request[list[AccountInfo]], tag=43):
    """The accounts among ``uids`` that exist and belong to ``app``, in the order asked."""

    app: str
    uids: list[int]


class CheckToken(Request[bool], tag=44):
    """Is a token of this account and ``epoch`` still good? Errors: 402 revoked or no such user, 10010 banned or frozen."""

    app: str
    uid: int
    epoch: int


class Checked(Request[msgspec.Raw], tag=48):
    """Another request to the shard of ``uid``, who makes it: answered if their token is good. Errors: those of
    :class:`CheckToken`, and of the request; the result is that of the request.

    :ivar request: encoded
    """

    app: str
    uid: int
    epoch: int
    request: bytes


class UpdateAccount(Request[AccountInfo], tag=45):
    """Set fields of profile or settings (``shard/accounts.py`` lists them)."""

    uid: int
    changes: dict[str, Any]


class DeviceInfo(msgspec.Struct, frozen=True):
    """A remembered device, under the names of the REST API."""

    device_sn: int
    platform: int
    user_agent: str
    user_id: int
    online: bool = False
    last_seen_ms: int = 0


class ListDevices(Request[list[DeviceInfo]], tag=46):
    """A user's devices: online ones first, then by when they were last seen, latest first."""

    uid: int


class Kick(Request[int], tag=47):
    """Log devices of a user out: one serial number, or all with 0; ``except_sn`` stays.

    ``notice`` is the UserNotice type. All without exception also revokes the user's tokens. Result: number of sessions closed.
    """

    uid: int
    device_sn: int
    notice: int
    except_sn: int = 0


class LimitSessions(Request[int], tag=49):
    """Sessions of an app whose tokens end later end at ``ends_ms``: what their tokens were signed with is not good any longer.

    Result: how many there are.
    """

    app: str
    ends_ms: int


STATE_NORMAL: Final = 0
STATE_BANNED: Final = 1
STATE_FROZEN: Final = 2
STATE_DELETED: Final = 3


class Credentials(msgspec.Struct, array_like=True, frozen=True):
    """What a password check needs; ``hash`` is an Argon2id string."""

    uid: int
    username: str
    password_hash: str
    epoch: int
    state: int


class GetCredentials(Request[Credentials], tag=60):
    """Errors: 10000 when ``uid`` is not a user of ``app``. For password checks only."""

    app: str
    uid: int


class SetPassword(Request[bool], tag=61):
    """Replace a password hash that still is ``expected`` (else 11001).

    ``revoke``: end all tokens, and all sessions but ``except_sn``.
    """

    uid: int
    password_hash: str
    expected: str
    revoke: bool
    except_sn: int = 0


class SetState(Request[bool], tag=62):
    """Ban, freeze, delete or restore an account.

    Anything but ``STATE_NORMAL`` ends its tokens and sessions.
    """

    uid: int
    state: int


class ForgetDevice(Request[bool], tag=63):
    """Log a device out and forget it. Result: whether it was known."""

    uid: int
    device_sn: int


class AccountPage(msgspec.Struct, array_like=True, frozen=True):
    """``skipped`` of the accounts to skip were met, ``last`` is the uid to go on behind; ``end``: there are no more."""

    accounts: list[AccountInfo]
    skipped: int
    last: int
    end: bool


class ListAccounts(Request[AccountPage], tag=262):
    """Accounts of ``app`` on one shard by uid, above ``after``; looks at a bounded number of rows.

    :ivar skip: accounts left out first
    """

    app: str
    after: int
    skip: int
    limit: int


class ListOnline(Request[list[int]], tag=263):
    """Those of ``uids`` that are connected."""

    uids: list[int]


class Rename(Request[list[str]], tag=273):
    """Set the user name of ``uid``, after :class:`ClaimName`. Result: names from before that are too many; they may be released."""

    uid: int
    username: str


class UserCount(msgspec.Struct, array_like=True, frozen=True):
    """``next``: where to go on, 0 at the end."""

    count: int
    next: int


class CountUsers(Request[UserCount], tag=317):
    """Count those of the next accounts of a shard, above ``after``, that may log in."""

    app: str
    after: int
