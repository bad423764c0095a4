"""Who is pushed a message they have not seen, and with what text (rest-api.md section 5). Pure.

The push process asks :func:`decide` for every message that waits for a user without a connected device and :func:`order` for
every user a back end has ordered a push for, and sends the answer to the vendors of their devices.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lanying.base import jsons

TITLE_CHARS: Final = 100
BODY_CHARS: Final = 1000
"""Vendors refuse payloads above 4 KB, badge, extras and JSON included."""
HIDDEN: Final = "You have a new message"
PLACEHOLDERS: Final = {
    "IMAGE": "[Picture]",
    "AUDIO": "[Voice]",
    "VIDEO": "[Video]",
    "FILE": "[File]",
    "LOCATION": "[Location]",
    "FORWARD": "[Forwarded messages]",
    "RTC": "[Call]",
}
"""What stands for content without a text."""
VENDOR_BLOCKS: Final = ("huawei", "vivo", "xiaomi", "oppo", "flyme", "fcm")
"""Platform blocks of an order."""
SILENT_TYPES: Final = frozenset(("COMMAND", "ACTION"))
"""Kinds of content people do not read: never pushed."""

PUSH_ALL, PUSH_NONE, PUSH_ADMIN_OR_MENTION, PUSH_ADMIN, PUSH_MENTION = range(5)
"""``msg_push_mode`` of a member."""
MUTE_NONE, MUTE_ALERT, MUTE_BLOCK = range(3)
"""``msg_mute_mode`` of a member."""


class Recipient(msgspec.Struct, frozen=True):
    """Settings of the user, hours of the server's clock; equal hours are no span."""

    uid: int
    no_push: bool = False
    no_push_detail: bool = False
    no_push_start_hour: int = 0
    no_push_end_hour: int = 0
    silence_start_time: int = 0
    silence_end_time: int = 0
    no_sounds: bool = False
    badge: int = 0


class ConversationSettings(msgspec.Struct, frozen=True):
    """What the recipient has chosen for this conversation. ``muted``: a friend's ``mute_notification``; modes: a group's."""

    group: bool = False
    muted: bool = False
    push_mode: int = PUSH_ALL
    mute_mode: int = MUTE_NONE


class Letter(msgspec.Struct, frozen=True):
    """A message. ``sender_name``: what the sender is called in pushes; ``from_admin``: they are owner or admin of the group."""

    content_type: str
    content: str
    sender_name: str
    config: str = ""
    from_admin: bool = False


class Push(msgspec.Struct, frozen=True):
    """What vendors get.

    :ivar silent: without a sound
    :ivar loc_key: replaces the body, with ``loc_args``, on devices that know the key
    :ivar show_begin_time: seconds since 1970, 0 for at once; ``show_end_time``: 0 for a day
    :ivar vendors: the platform blocks ``huawei``, ``vivo``, ``xiaomi``, ``oppo``, ``flyme`` and ``fcm``; they override ``android``
    :ivar ext: handed to the application
    :ivar data_only: wakes the application and shows nothing
    :ivar image: address of a picture, empty: none
    """

    title: str
    body: str
    badge: int
    silent: bool = False
    loc_key: str = ""
    loc_args: list[str] = []
    show_begin_time: int = 0
    show_end_time: int = 0
    ios: dict[str, Any] = {}
    android: dict[str, Any] = {}
    vendors: dict[str, dict[str, Any]] = {}
    ext: dict[str, Any] = {}
    data_only: bool = False
    image: str = ""


def decide(recipient: Recipient, conversation: ConversationSettings, letter: Letter, hour: int) -> Push | None:
    """The push for a message, None for none.

    :param hour: of the server's clock, 0 to 23
    """
    config = read_config(letter.config)
    if not _wanted(recipient, conversation, letter, config, hour):
        return None
    title, body = _texts(recipient, letter, config)
    ios, android = (_object(config.get(name)) for name in ("ios", "android"))
    quiet_now = within(hour, recipient.silence_start_time, recipient.silence_end_time)
    hidden = recipient.no_push_detail
    return Push(
        title=title[:TITLE_CHARS],
        body=body[:BODY_CHARS],
        badge=_number(config.get("badge"), recipient.badge + 1),
        silent=quiet_now
        or recipient.no_sounds
        or config.get("silence") is True
        or conversation.mute_mode == MUTE_ALERT,
        loc_key="" if hidden else _text(config.get("pushMessageLocKey")),
        loc_args=[] if hidden else _texts_of(config.get("pushMessageLocArgs")),
        show_begin_time=_number(config.get("show_begin_time"), 0),
        show_end_time=_number(config.get("show_end_time"), 0),
        ios={**ios, "subtitle": ""} if hidden else ios,
        android=android,
    )


def order(recipient: Recipient, message: dict[str, Any], hour: int) -> Push | None:
    """The push a back end ordered, None for none.

    :param message: as checked by the REST API
    """
    if recipient.no_push or within(hour, recipient.no_push_start_hour, recipient.no_push_end_hour):
        return None
    badge = _text(message.get("badge")) or "+1"
    number = int(badge.removeprefix("+"))
    data_only = message.get("type") == "cmd"
    return Push(
        title=_text(message.get("title"))[:TITLE_CHARS],
        body=(_text(message.get("big_text")) or _text(message.get("body")))[:BODY_CHARS],
        badge=recipient.badge + number if badge.startswith("+") else number,
        silent=data_only
        or recipient.no_sounds
        or within(hour, recipient.silence_start_time, recipient.silence_end_time),
        show_begin_time=_number(message.get("show_begin_time"), 0),
        show_end_time=_number(message.get("show_end_time"), 0),
        ios=_object(message.get("ios")),
        android=_object(message.get("android")),
        vendors={name: _object(message[name]) for name in VENDOR_BLOCKS if name in message},
        ext=_object(message.get("ext")),
        data_only=data_only,
        image=_text(message.get("attachment_url")),
    )


def within(hour: int, start: int, end: int) -> bool:
    """Is ``hour`` in the span from ``start`` up to ``end``, over midnight if need be? Equal ends are no span."""
    if start <= end:
        return start <= hour < end
    return hour >= start or hour < end


def read_config(text: str) -> dict[str, Any]:
    """A message's ``config``, which is whatever its sender wrote: anything but a JSON object counts as empty."""
    return jsons.loads_object(text) or {}


def mentions(config: dict[str, Any], uid: int) -> bool:
    """Is this user, or everybody, mentioned?"""
    if config.get("mentionAll") is True:
        return True
    mentioned = config.get("mentionList")
    return isinstance(mentioned, list) and any(str(item) == str(uid) for item in mentioned if type(item) in (int, str))


def _wanted(
    recipient: Recipient, conversation: ConversationSettings, letter: Letter, config: dict[str, Any], hour: int
) -> bool:
    if recipient.no_push or within(hour, recipient.no_push_start_hour, recipient.no_push_end_hour):
        return False
    if letter.content_type in SILENT_TYPES:
        return False
    if not conversation.group:
        return not conversation.muted
    if conversation.mute_mode == MUTE_BLOCK or conversation.push_mode == PUSH_NONE:
        return False
    mentioned = mentions(config, recipient.uid)
    return {
        PUSH_ADMIN_OR_MENTION: letter.from_admin or mentioned,
        PUSH_ADMIN: letter.from_admin,
        PUSH_MENTION: mentioned,
    }.get(conversation.push_mode, True)


def _texts(recipient: Recipient, letter: Letter, config: dict[str, Any]) -> tuple[str, str]:
    sender = _text(config.get("senderNickname")) or letter.sender_name
    if recipient.no_push_detail:
        return sender, HIDDEN
    body = letter.content if letter.content_type == "TEXT" else PLACEHOLDERS.get(letter.content_type, HIDDEN)
    return _text(config.get("title")) or sender, _text(config.get("pushMessage")) or body or HIDDEN


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts_of(value: object) -> list[str]:
    return [str(item)[:BODY_CHARS] for item in value[:10]] if isinstance(value, list) else []


def _number(value: object, default: int) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return value if good else default  # type: ignore[return-value]


def _object(value: object) -> dict[str, Any]:
    """A platform block: an object, or one as JSON text."""
    if isinstance(value, str):
        return read_config(value)
    return value if isinstance(value, dict) else {}
