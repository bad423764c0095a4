"""REST codes this server answers with, and what they mean. Texts of single answers say more; these are the defaults."""

from __future__ import annotations

from typing import Final

from lanying.base.errors import CallError

MEANINGS: Final[dict[int, str]] = {
    200: "done",
    402: "the access token is invalid, expired or revoked; log in again",
    404: "there is nothing here; this server does not offer the feature",
    405: "this path takes another method",
    408: "the request body did not arrive in time",
    413: "the request body is too large",
    429: "too many requests; slow down and try again",
    500: "the server failed on this request, its log says why",
    503: "the server is busy or a part of it is restarting; try again",
    10000: "there is no such user",
    10001: "the code is wrong, was used or has expired; ask for a new one",
    10002: "a parameter is missing or wrong",
    10003: "send an access token in the header access-token",
    10004: "the username is taken, choose another",
    10005: "you are friends already",
    10006: "this user has blocked you",
    10007: "this friend request is not there, was answered or has expired",
    10009: "the server could not store this; try again, then ask its administrator",
    10010: "you may not do this",
    10011: "this alias belongs to another user, choose another",
    10012: "this user takes no friend requests",
    10021: "this account was closed",
    10028: "too many failed attempts; wait a minute and try again",
    11001: "the password is wrong",
    11012: "this phone number belongs to another account",
    11014: "this is not what the picture shows, ask for a new one",
    12004: "attachment_url is not the address of a picture",
    12005: "audience names more than 500 targets, split it",
    12006: "push is not enabled: this app has no such notifier, add one with `lanying-cluster notifier add`",
    20001: "there is no such group",
    20002: "this user is not a member of the group",
    20003: "there is no such push mode",
    20004: "the owner cannot leave: transfer the group to somebody, or destroy it",
    20005: "the new owner has to be a member of the group",
    20009: "this user is in as many groups as one may be, leave one first",
    20010: "this group is full",
    20011: "only members of this group may do this",
    20012: "only the owner and admins of this group may do this",
    20013: "only the owner of this group may do this",
    20014: "this application is not there, was answered or has expired",
    20015: "this invitation is not there, was answered or has expired",
    20016: "kicked too often to come back so soon, an admin has to invite you",
    20017: "already a member of this group",
    20018: "on the block list of this group",
    20020: "there is no such announcement in this group",
    20022: "there is no such shared file in this group",
    20023: "only who shared this file and admins may do this",
    20024: "this is no QR text of a group here, ask for a new one",
    20025: "this QR text has expired, ask for a new one",
    40000: "unknown app; send the header app_id with the id this server was set up with",
    40001: "registration is closed; ask the administrator for an account",
    40002: "this app has as many users as it may; ask the administrator for an account",
    99997: "unknown app; this server was set up with another app_id",
}

HTTP_STATUS: Final[dict[int, int]] = {404: 404, 405: 405, 408: 408, 413: 413, 500: 500}
"""Codes that are also the HTTP status when the gateway itself refuses; everything else is HTTP 200 (xsync rule 3), 429 and 503
too: the web SDK loses the code of an answer with another status."""


def refuse(code: int, message: str = "") -> CallError:
    """The error to raise for a code."""
    return CallError(code, message or MEANINGS[code])
