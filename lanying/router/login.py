"""Decides on a login frame: which shard gets the connection, or why the client is refused (xsync 5.1).

Here the token is verified (signature, expiry, whose it is); whether it was revoked, and whether the user is banned or has
too many devices, only the shard of the user knows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from google.protobuf.message import DecodeError

from lanying.base import limits, tokens
from lanying.base.errors import TokenError
from lanying.bus.handoff.records import Login
from lanying.cluster.directory import Directory
from lanying.config.apps import App
from lanying.protocol.schema.xsync_pb2 import Provision, Status, SyncUL

INFO_CHARS: Final = 1024
"""``device_info`` is shown in a list of devices; more of it is cut off."""
NOT_LOGGED_IN: Final = "you must login first"
"""Exactly this text makes the web SDK log in again (xsync 5.1)."""


class Handoff(msgspec.Struct, frozen=True):
    """Hand the connection to ``shard``."""

    shard: int
    login: Login


class Refuse(msgspec.Struct, frozen=True):
    """Answer the client with ``code`` (Status.ErrorCode) and ``reason``.

    :ivar uid: user the client claims to be, 0 when unknown
    """

    code: int
    reason: str
    uid: int = 0


class _Claims(msgspec.Struct):
    app: str


_decode_claims = msgspec.json.Decoder(_Claims).decode


def claimed_app(token: str) -> str:
    """The app a token says it belongs to, not verified; it only selects the key to verify the token with.

    :raises TokenError: not a token
    """
    try:
        _, body, _ = token.split(".")
        if len(token) > limits.LOGIN_TOKEN_CHARS:
            raise TokenError("token too long")
        return _decode_claims(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))).app
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):  # the last by 1,000 brackets
        raise TokenError("token invalid") from None


class Doorkeeper:
    """Decides on logins, for all apps of this server, those that are added while it runs included."""

    __slots__ = ("_apps", "_directory", "_now_ms")

    def __init__(self, apps: Mapping[str, App], directory: Directory, now_ms: Callable[[], int]) -> None:
        """:param now_ms: wall milliseconds, for tokens that expire"""
        self._apps = apps
        self._directory = directory
        self._now_ms = now_ms

    def decide(self, payload: bytes, kind: int, address: str, leftover: bytes) -> Handoff | Refuse:
        """The decision on a PROVISION frame.

        :param payload: encoded Provision
        :param kind: of the connection, SOCKETIO or XSYNC
        :param leftover: bytes received behind the frame
        """
        try:
            provision = Provision.FromString(payload)
        except DecodeError:
            return Refuse(Status.PB_PARSER_ERROR, "login not understood")
        uid = provision.xid.uid
        if not provision.token:
            return Refuse(Status.INVALID_TOKEN, "token missing", uid)
        if len(provision.device_guid) > limits.DEVICE_GUID_CHARS:
            return Refuse(Status.INVALID_PARAMETER, f"device_guid over {limits.DEVICE_GUID_CHARS} characters", uid)
        try:
            identity = self._verify(provision.token)
        except TokenError as error:
            return Refuse(Status.INVALID_TOKEN, str(error), uid)
        if identity.role != tokens.ROLE_USER:
            return Refuse(Status.INVALID_TOKEN, "an admin token is not a login", uid)
        if identity.uid != uid or uid <= 0:
            return Refuse(Status.INVALID_TOKEN, "token of another user", uid)
        login = Login(
            kind=kind,
            app=identity.app,
            uid=uid,
            epoch=identity.epoch,
            guid=provision.device_guid,
            os_type=provision.os_type,
            info=provision.device_info[:INFO_CHARS],
            address=address,
            leftover=leftover,
            notifier=provision.device_notifier[:INFO_CHARS],
            device_token=provision.device_token[: limits.TEXT_FIELD_CHARS],
            expires=identity.expires,
        )
        return Handoff(self._directory.owner(uid), login)

    def _verify(self, token: str) -> tokens.Identity:
        app = self._apps.get(claimed_app(token))
        if app is None:
            raise TokenError("token of an app unknown here")
        return app.identify(token, self._now_ms())


def refuse_sync(payload: bytes) -> tuple[int, int, str]:
    """How a SYNC frame before the login is answered: client mid of the message it carries (0 for none), code, reason."""
    try:
        client_mid = SyncUL.FromString(payload).meta.id
    except DecodeError:
        return 0, Status.PB_PARSER_ERROR, "frame not understood"
    return client_mid, Status.UNAUTHORIZED, NOT_LOGGED_IN
