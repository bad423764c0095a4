"""Every reason this server refuses something, as data: REST code, wire status, text and remedy.

A reason is a member of :class:`Refusal`; code passes members, never numbers or sentences, so a text can be improved without a
client noticing. Several reasons may share a REST code (the reference has one for every wrong parameter). Codes and their meaning
are those of the REST reference and of xsync sections 5.1 and 5.6; the last section lists codes of the reference that only other
servers answer with.

Texts below are the defaults: an error may say more ("content is a text of at most 500 characters"). Two of them are compared by
clients that exist and must stay as they are: BLOCKED and STRANGERS (xsync 5.6).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum, auto
from typing import Final

DONE: Final = 200
"""REST code of what was not refused."""


class WireStatus(IntEnum):
    """Values of ``Status.ErrorCode`` of the wire protocol that the server refuses with."""

    FAIL = 2
    PB_PARSER_ERROR = 4
    INVALID_TOKEN = 7
    INVALID_PARAMETER = 8
    USER_FROZEN = 10
    USER_BANNED = 11
    WORD_CENSORED = 12
    RATE_LIMIT_EXCEEDED = 20


_S = WireStatus


class Refusal(StrEnum):
    """Why something is refused. The value names it on the bus.

    :ivar code: REST code
    :ivar status: wire status
    :ivar text: what is wrong
    :ivar remedy: what can be done about it
    """

    code: int
    status: WireStatus
    text: str
    remedy: str

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        return name.lower()

    def __new__(cls, value: str, code: int, status: WireStatus, text: str, remedy: str) -> Refusal:
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        member.status = status
        member.text = text
        member.remedy = remedy
        return member

    @property
    def message(self) -> str:
        """Text and remedy, for people."""
        return f"{self.text}; {self.remedy}"

    @staticmethod
    def of_code(code: int) -> Refusal:
        """The first reason with this REST code; of a code no server documents: that the server failed."""
        return _BY_CODE.get(code, Refusal.SERVER_FAILED)

    @staticmethod
    def of_name(name: str) -> Refusal:
        """The reason with this value; of one that only another release has: that the server failed."""
        return _BY_NAME.get(name, Refusal.SERVER_FAILED)

    # fmt: off
    # --- the request itself -------------------------------------------------------------------------------------------
    TOKEN_REJECTED = auto(), 402, _S.INVALID_TOKEN, "the access token is invalid, expired or revoked", "log in again"
    NO_TOKEN = auto(), 10003, _S.INVALID_TOKEN, "the request has no access token", "send it in the header access-token"
    INVALID_PARAMETER = auto(), 10002, _S.INVALID_PARAMETER, "a parameter is missing or wrong", "see the API reference"
    NOT_OFFERED = auto(), 404, _S.FAIL, "there is nothing here", "this server does not offer the feature"
    WRONG_METHOD = auto(), 405, _S.FAIL, "this path does not take this method", "see the API reference for its methods"
    BODY_TOO_SLOW = auto(), 408, _S.FAIL, "the request body did not arrive in time", "try again on a better connection"
    BODY_TOO_LARGE = auto(), 413, _S.FAIL, "the request body is too large", "send less in one request"
    TOO_MANY_REQUESTS = auto(), 429, _S.RATE_LIMIT_EXCEEDED, "too many requests", "slow down and try again"
    SERVER_FAILED = auto(), 500, _S.FAIL, "the server failed on this request", "its log says why"
    UNAVAILABLE = auto(), 503, _S.FAIL, "the server is busy or a part of it is restarting", "try again"
    MOVED = auto(), 503, _S.FAIL, "another shard has this user or group now", "ask it"
    UNKNOWN_APP = auto(), 40000, _S.FAIL, "unknown app", "send the header app_id with the id this server was set up with"
    APP_NOT_SERVED = auto(), 99997, _S.FAIL, "unknown app", "this server was set up with another app_id"
    PERMISSION_DENIED = auto(), 10010, _S.FAIL, "you may not do this", "ask somebody who may"
    MALFORMED = auto(), 10002, _S.PB_PARSER_ERROR, "the payload cannot be read", "send a message of the protocol"

    # --- accounts -----------------------------------------------------------------------------------------------------
    NO_SUCH_USER = auto(), 10000, _S.INVALID_PARAMETER, "there is no such user", "check the user id"
    WRONG_CODE = auto(), 10001, _S.FAIL, "the code is wrong, was used or has expired", "ask for a new one"
    NAME_TAKEN = auto(), 10004, _S.FAIL, "the username is taken", "choose another"
    ALIAS_TAKEN = auto(), 10011, _S.FAIL, "this alias belongs to another user", "choose another"
    ACCOUNT_CLOSED = auto(), 10021, _S.FAIL, "this account was closed", "remove it from your list"
    TOO_MANY_FAILURES = auto(), 10028, _S.RATE_LIMIT_EXCEEDED, "too many failed attempts", "wait a minute and try again"
    WRONG_PASSWORD = auto(), 11001, _S.FAIL, "the password is wrong", "try again, or set a new one"
    PHONE_TAKEN = auto(), 11012, _S.FAIL, "this phone number belongs to another account", "log in with that account"
    WRONG_CAPTCHA = auto(), 11014, _S.FAIL, "this is not what the picture shows", "ask for a new picture"
    REGISTRATION_CLOSED = auto(), 40001, _S.FAIL, "registration is closed", "ask the administrator for an account"
    APP_FULL = auto(), 40002, _S.FAIL, "this app has as many users as it may", "ask the administrator for an account"
    ACCOUNT_BANNED = auto(), 10010, _S.USER_BANNED, "this account is banned", "ask the administrator"
    ACCOUNT_FROZEN = auto(), 10010, _S.USER_FROZEN, "this account is frozen", "ask the administrator"

    # --- friends ------------------------------------------------------------------------------------------------------
    ALREADY_FRIENDS = auto(), 10005, _S.FAIL, "you are friends already", "write to them"
    BLOCKED_BY_USER = auto(), 10006, _S.FAIL, "this user has blocked you", "there is nothing you can do"
    NO_SUCH_REQUEST = (
        auto(), 10007, _S.FAIL, "this friend request does not exist, was answered or has expired", "ask for a new one",
    )
    TAKES_NO_REQUESTS = auto(), 10012, _S.FAIL, "this user takes no friend requests", "ask them to add you"

    # --- messages -----------------------------------------------------------------------------------------------------
    BLOCKED = auto(), 10006, _S.FAIL, "you have been blocked by the recipient", "there is nothing you can do"
    STRANGERS = auto(), 10010, _S.FAIL, "your relation with target does not allow chat", "become friends first"
    NO_RECIPIENT = auto(), 10000, _S.INVALID_PARAMETER, "the recipient does not exist", "check the user id"
    RECIPIENT_AWAY = auto(), 503, _S.FAIL, "the recipient's shard is not available", "try again"
    NO_SUCH_MESSAGE = auto(), 10002, _S.FAIL, "no such message in this conversation", "check the message id"
    TOO_LATE_TO_RECALL = auto(), 10010, _S.FAIL, "exceed recall time limit", "send a correction instead"
    NOT_THE_AUTHOR = auto(), 10010, _S.FAIL, "only the author may change a message", "ask its author"
    MESSAGE_TOO_LONG = auto(), 10002, _S.INVALID_PARAMETER, "the message would become too long", "send another one"
    FORBIDDEN_WORDS = (
        auto(), 10010, _S.WORD_CENSORED, "the message has words this server does not allow", "leave them out",
    )
    TOO_MANY_MESSAGES = auto(), 429, _S.RATE_LIMIT_EXCEEDED, "too many messages at once", "slow down and try again"

    # --- files and push -----------------------------------------------------------------------------------------------
    NOT_STORED = auto(), 10009, _S.FAIL, "the server could not store this", "try again, then ask the administrator"
    DISK_FULL = (
        auto(), 10009, _S.FAIL, "the server's disk is full, the message was not kept", "ask the administrator for room",
    )
    STORAGE_FULL = auto(), 10009, _S.FAIL, "file storage is full", "ask the administrator"
    QUOTA_USED = auto(), 10009, _S.FAIL, "your files take all the room you have", "delete some first"
    NOT_A_PICTURE = auto(), 12004, _S.FAIL, "attachment_url is not the address of a picture", "give one that is"
    TOO_MANY_TARGETS = auto(), 12005, _S.FAIL, "audience names more than 500 targets", "split it"
    NO_NOTIFIER = (
        auto(), 12006, _S.FAIL, "push is not enabled: this app has no such notifier",
        "add one with `lanying-cluster notifier add`",
    )

    # --- groups -------------------------------------------------------------------------------------------------------
    NO_SUCH_GROUP = auto(), 20001, _S.FAIL, "there is no such group", "check the group id"
    GROUP_DESTROYED = auto(), 20001, _S.FAIL, "this group was destroyed", "leave it off your list"
    NOT_A_MEMBER = auto(), 20002, _S.FAIL, "this user is not a member of the group", "invite them first"
    NO_SUCH_PUSH_MODE = (
        auto(), 20003, _S.INVALID_PARAMETER, "there is no such push mode",
        "msg_push_mode is 0 all, 1 none, 2 admins or mentions, 3 admins or 4 mentions",
    )
    OWNER_CANNOT_LEAVE = (
        auto(), 20004, _S.FAIL, "the owner cannot leave", "transfer the group to somebody, or destroy it",
    )
    NEW_OWNER_NOT_A_MEMBER = (
        auto(), 20005, _S.FAIL, "the new owner has to be a member of the group", "invite them first",
    )
    TOO_MANY_GROUPS = auto(), 20009, _S.FAIL, "this user is in as many groups as one may be", "leave one first"
    GROUP_FULL = auto(), 20010, _S.FAIL, "this group is full", "ask its owner for more room"
    MEMBERS_ONLY = auto(), 20011, _S.FAIL, "only members of this group may do this", "join it first"
    ADMINS_ONLY = auto(), 20012, _S.FAIL, "only the owner and admins of this group may do this", "ask one of them"
    OWNER_ONLY = auto(), 20013, _S.FAIL, "only the owner of this group may do this", "ask the owner"
    NO_SUCH_APPLICATION = (
        auto(), 20014, _S.FAIL, "this application does not exist, was answered or has expired", "ask for a new one",
    )
    NO_SUCH_INVITATION = (
        auto(), 20015, _S.FAIL, "this invitation does not exist, was answered or has expired", "ask for a new one",
    )
    KICKED_TOO_OFTEN = auto(), 20016, _S.FAIL, "kicked too often to come back so soon", "an admin has to invite you"
    ALREADY_A_MEMBER = auto(), 20017, _S.FAIL, "already a member of this group", "nothing is left to do"
    ON_THE_BLOCK_LIST = auto(), 20018, _S.FAIL, "on the block list of this group", "an admin has to unblock them first"
    NO_SUCH_ANNOUNCEMENT = auto(), 20020, _S.FAIL, "there is no such announcement in this group", "reload the list"
    NO_SUCH_SHARED_FILE = auto(), 20022, _S.FAIL, "there is no such shared file in this group", "reload the list"
    NOT_THE_UPLOADER = auto(), 20023, _S.FAIL, "only the uploader or a group admin may do this", "ask one of them"
    WRONG_QR_CODE = auto(), 20024, _S.FAIL, "this QR code is not a group invitation", "ask for a new one"
    OLD_QR_CODE = auto(), 20025, _S.FAIL, "this QR code has expired", "ask for a new one"
    BANNED_IN_GROUP = auto(), 10010, _S.FAIL, "you are banned from writing in this group", "ask an admin of the group"
    GROUP_BANNED = auto(), 10010, _S.FAIL, "only admins may write in this group", "ask an admin of the group"

    # --- codes of the reference that this server does not answer with; its clients may meet them elsewhere ------------
    UNAUTHORIZED = auto(), 401, _S.INVALID_TOKEN, "the request is not authorised", "log in"
    FORBIDDEN = auto(), 403, _S.FAIL, "this is forbidden", "ask the administrator"
    INVALID_TOKEN = auto(), 10008, _S.INVALID_TOKEN, "the access token is not valid", "log in again"
    USERNAME_IN_USE = auto(), 11011, _S.FAIL, "the username is in use", "choose another"
    QR_CODE_PENDING = auto(), 11022, _S.FAIL, "the QR code was not confirmed yet", "ask again"
    PHONE_USED_TOO_OFTEN = auto(), 11031, _S.FAIL, "this number has verified too many accounts", "use another"
    PICTURE_REFUSED_BY_XIAOMI = auto(), 12001, _S.FAIL, "Xiaomi did not take the picture", "try another"
    PUSH_PICTURE_TOO_LARGE = auto(), 12002, _S.FAIL, "a picture of a push has less than 1 MB", "make it smaller"
    PICTURE_REFUSED_BY_OPPO = auto(), 12003, _S.FAIL, "OPPO did not take the picture", "try another"
    GROUP_STORE_FAILED = auto(), 20000, _S.FAIL, "the group could not be read or written", "try again"
    GROUP_IN_REPAIR = auto(), 20006, _S.FAIL, "the group is being repaired", "try again later"
    APP_HAS_TOO_MANY_GROUPS = auto(), 20007, _S.FAIL, "the app has as many groups as it may", "ask the administrator"
    TOO_MANY_GROUPS_CREATED = auto(), 20008, _S.FAIL, "you have created as many groups as you may", "destroy one first"
    ANNOUNCEMENTS_OFF = auto(), 20021, _S.FAIL, "announcements are switched off here", "ask an admin of the group"
    LICENSE_INVALID = auto(), 30021, _S.FAIL, "the app's license is not valid", "ask the app's operator"
    LICENSE_EXPIRED = auto(), 30022, _S.FAIL, "the app's license has expired", "ask the app's operator"
    LICENSE_EXCEEDED = auto(), 30023, _S.FAIL, "the app's license does not allow more", "ask the app's operator"
    APP_SUSPENDED = auto(), 40003, _S.FAIL, "the app is suspended", "ask the app's operator"
    APP_NOT_IN_DNS = auto(), 99998, _S.FAIL, "unknown app", "check the app id"
    # fmt: on


_BY_NAME: Final = {refusal.value: refusal for refusal in Refusal}
_BY_CODE: Final[dict[int, Refusal]] = {}
for _refusal in Refusal:
    _BY_CODE.setdefault(_refusal.code, _refusal)
