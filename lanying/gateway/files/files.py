"""Files: tickets, uploads, forwarding (xsync 2.7, rest-api.md section 4). Downloads are in ``downloads``.

A ticket costs nothing: its address carries a signed number, and ends with its owner's tokens. The upload writes a file aside, has the
record committed by the owner's shard, and moves the file into the object store; only then is it confirmed.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_FILES, Identity, issue
from lanying.bus.messages import (
    AddFile,
    CheckFile,
    CheckToken,
    FileRecord,
    GetCredentials,
    GetFile,
    GetGroups,
    RemoveFiles,
)
from lanying.bus.shards import ask
from lanying.gateway.files import file_signs
from lanying.gateway.files.file_signs import DOWNLOAD, UPLOAD, Sign
from lanying.gateway.files.receiving import Received, receive
from lanying.gateway.http.endpoint import GET, Endpoint, RequestContext
from lanying.gateway.http.first_call import FirstCall
from lanying.gateway.http.kinds import EntityId
from lanying.gateway.services import media
from lanying.gateway.services.file_store import object_key

log = logging.getLogger(__name__)

USER_AVATAR: Final = 1
GROUP_AVATAR: Final = 2
AVATARS: Final = (USER_AVATAR, GROUP_AVATAR)
"""File types of our own; those of clients are 99 to 104 and 200 to 203."""
FILE_TYPES: Final = range(99, 205)
TO_USER: Final = 1
TO_GROUP: Final = 2
MAJOR: Final = {102: "image", 202: "image", 103: "video", 203: "video", 101: "audio", 104: "audio", 201: "audio"}
"""What a file has to be when it was announced as such and its type is known; audio and video share their containers."""


class FileOfGroup(msgspec.Struct):
    """A file for a group."""

    group_id: EntityId


ToType = Annotated[int, msgspec.Meta(ge=TO_USER, le=TO_GROUP)]


class ChatFile(msgspec.Struct):
    """A file to upload for a user or a group."""

    file_type: Annotated[int, msgspec.Meta(ge=FILE_TYPES[0], le=FILE_TYPES[-1])]
    to_id: EntityId
    to_type: ToType = TO_USER


class Forwarded(msgspec.Struct):
    """A file that is there, for somebody else."""

    file_sign: str
    to_id: EntityId
    to_type: ToType = TO_USER


class Upload(msgspec.Struct):
    """What a ticket's address has."""

    upload_sign: str


async def user_avatar(context: RequestContext) -> object:
    """A ticket for the caller's avatar."""
    return await _ticket(context, USER_AVATAR, TO_USER, context.uid)


async def group_avatar(context: RequestContext, given: FileOfGroup) -> object:
    """A ticket for a group's avatar; the right to set it is asked when it is set."""
    gid = given.group_id
    if not await ask(context.shards, gid, GetGroups(context.uid, context.app.app_id, [gid])):
        raise CallError(Refusal.NO_SUCH_GROUP)
    return await _ticket(context, GROUP_AVATAR, TO_GROUP, gid)


async def chat(context: RequestContext, given: ChatFile) -> object:
    """A ticket for something to send or to share."""
    return await _ticket(context, given.file_type, given.to_type, given.to_id)


async def forward(context: RequestContext, given: Forwarded) -> object:
    """A new address of a file for somebody else; its bytes are not copied."""
    sign = signed(context, given.file_sign, DOWNLOAD)
    await record_of(context, sign)
    return address(context, sign._replace(to_type=given.to_type, to_id=given.to_id))


async def token(context: RequestContext) -> object:
    """A token for the addresses of files, which ends with the caller's other tokens."""
    app = context.app
    found = await ask(context.shards, context.uid, GetCredentials(app.app_id, context.uid))
    expires = context.services.now_ms() // 1000 + limits.FILE_TOKEN_LIFETIME_S
    text = issue(app.token_key, Identity(app.app_id, context.uid, ROLE_FILES, found.epoch, expires))
    return {"token": text, "expire": expires}


async def upload(context: RequestContext, given: Upload) -> object:
    """The bytes. The address authorises itself."""
    sign = signed(context, given.upload_sign, UPLOAD)
    services, settings = context.services, context.services.config.files
    store = services.files
    most = _most(context, sign.file_type)
    length = context.request.headers.get("content-length", "0")
    size = int(length) if length.isdecimal() and len(length) < 16 else 0
    if size > most + limits.UPLOAD_FORM_BYTES:
        raise CallError(Refusal.BODY_TOO_LARGE, f"the file is larger than {most >> 20} MB")
    quota = settings.user_mb << 20
    expected = max(0, size - limits.UPLOAD_FORM_BYTES)
    shards = FirstCall(services.shards, CheckToken(context.app.app_id, sign.owner, sign.epoch))
    await ask(shards, sign.owner, CheckFile(sign.owner, sign.number, expected, quota))
    key = object_key(sign.owner, sign.number)
    with store.incoming(key, expected, context.peer) as part:
        try:
            received = await receive(
                context.request.stream(), context.request.headers.get("content-type", ""), most, part
            )
            record = await _judged(context, sign, received, part.path)
            await _keep(context, record, key, part.path, quota)
        except OSError as error:
            log.error("event=upload_failed error=%s", error)
            raise CallError(Refusal.NOT_STORED) from error
    return True


async def _judged(context: RequestContext, sign: Sign, received: Received, part: Path) -> FileRecord:
    """The record of what came. :raises CallError: 10002 it is not what the ticket was for, 10009 no room"""
    kind = media.kind_of(received.head)
    if sign.file_type in AVATARS:
        good = kind in media.PICTURES and await context.services.conversions.is_picture(part, kind, context.peer)
        if not good:
            raise CallError(Refusal.INVALID_PARAMETER, "file is not a JPEG, PNG, GIF, WebP or BMP picture")
    wanted, found = MAJOR.get(sign.file_type), kind.partition("/")[0]
    if wanted and kind != media.UNKNOWN and (wanted == "image") != (found == "image"):
        raise CallError(Refusal.INVALID_PARAMETER, f"file is {kind}, the upload was announced as {wanted}")
    context.services.files.check_room(received.size)
    return FileRecord(
        owner=sign.owner,
        number=sign.number,
        app=context.app.app_id,
        name=received.name,
        size=received.size,
        kind=kind,
        sha256=received.sha256,
        file_type=sign.file_type,
        to_type=sign.to_type,
        to_id=sign.to_id,
        created_ms=context.services.now_ms(),
    )


async def _keep(context: RequestContext, record: FileRecord, key: str, part: Path, quota: int) -> None:
    """Commit the record, then move the bytes. Without bytes there is no record."""
    services = context.services
    await ask(services.shards, record.owner, AddFile(record, quota))
    try:
        await services.files.objects.put(key, part)
    except OSError:
        await ask(services.shards, record.owner, RemoveFiles([(record.owner, record.number)]))
        raise
    services.files.used_bytes += record.size


async def _ticket(context: RequestContext, file_type: int, to_type: int, to_id: int) -> dict[str, Any]:
    """Where to upload, and where it can be downloaded then."""
    app = context.app
    expires = context.services.now_ms() // 1000 + limits.TICKET_LIFETIME_S
    epoch = (await ask(context.shards, context.uid, GetCredentials(app.app_id, context.uid))).epoch
    sign = Sign(UPLOAD, context.uid, secrets.randbits(62), file_type, to_type, to_id, expires, epoch)
    text = file_signs.write(app.token_key, sign)
    return {  # max_bytes is an addition of ours: a client need not send what is refused
        "max_bytes": _most(context, file_type),
        "upload_url": f"{context.base_url}/file/upload?app_id={context.app.app_id}&upload_sign={text}",
        "upload_method": "POST",
        "oss_body_param": {},
        "download_url": address(context, sign),
    }


def _most(context: RequestContext, file_type: int) -> int:
    return limits.AVATAR_BYTES if file_type in AVATARS else context.services.config.files.max_mb << 20


def address(context: RequestContext, sign: Sign) -> str:
    """Where a file can be downloaded: the sign is at the end, behind ``sign=`` for messages (xsync 2.7)."""
    days = context.services.config.files.link_days
    expires = context.services.now_ms() // 1000 + days * 86_400 if days else 0
    text = file_signs.write(context.app.secret, sign._replace(purpose=DOWNLOAD, expires=expires))
    place = "avatar?object_name" if sign.file_type in AVATARS else "chat?file_sign"
    return f"{context.base_url}/file/download/{place}={text}"


def signed(context: RequestContext, text: str, purpose: int) -> Sign:
    """What a sign says. :raises CallError: 402 it is not good (any more)"""
    key = context.app.token_key if purpose == UPLOAD else context.app.secret
    sign = file_signs.read(key, text, purpose, context.services.now_ms() // 1000)
    if sign is None:
        raise CallError(Refusal.TOKEN_REJECTED, "this address is not valid or has expired; ask for a new one")
    return sign


async def record_of(context: RequestContext, sign: Sign) -> FileRecord:
    """The file a sign names. :raises CallError: 404 it is not there (any more)"""
    found = await ask(context.shards, sign.owner, GetFile(sign.owner, sign.number))
    if found is None or found.app != context.app.app_id:
        raise CallError(Refusal.NOT_OFFERED, "the file does not exist; it may have been deleted")
    return found


ENDPOINTS: Final = (
    Endpoint(GET, "/file/token", token),
    Endpoint(GET, "/file/upload/avatar/user", user_avatar),
    Endpoint(GET, "/file/upload/avatar/group", group_avatar),
    Endpoint(GET, "/file/upload/chat", chat),
    Endpoint(GET, "/file/upload/forward", forward),
    Endpoint(("POST", "PUT"), "/file/upload", upload, token=False, streams=True, statuses=True),
)
