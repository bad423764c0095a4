"""Downloads: a caller with a file's address and a good token of the app gets its bytes, a part of them, or something made of them.

``image_type`` 2 (or ``w``/``h``): a thumbnail; 3: the first picture of a video; ``format=mp3``: audio as MP3. What cannot be
made is answered with the original, a missing cover with 404. What was made is kept beside the original.

The type of an answer is that of the content, never what a client said; HTML, SVG and everything unknown is handed out
as a download that no browser runs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from urllib.parse import quote

import msgspec
from starlette.responses import Response, StreamingResponse

from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.base.tokens import ROLE_FILES, ROLE_USER
from lanying.bus.messages import FileRecord
from lanying.gateway.files.file_signs import DOWNLOAD
from lanying.gateway.files.files import record_of, signed
from lanying.gateway.http.auth import authenticate, identify, is_admin
from lanying.gateway.http.endpoint import Endpoint, RequestContext
from lanying.gateway.http.params import Also
from lanying.gateway.services import media
from lanying.gateway.services.file_store import object_key

THUMBNAIL: Final = 2
COVER: Final = 3
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_GET: Final = ("GET", "HEAD")


class SentObject(NamedTuple):
    """The object to send: its key, size, media type, and the mark among those made of the same file."""

    key: str
    size: int
    kind: str
    mark: str = ""


class Download(msgspec.Struct):
    """A profile picture, and what of it is wanted; ``w`` and ``h`` are pixels."""

    sign: str = msgspec.field(name="object_name")
    image_type: Annotated[int, msgspec.Meta(ge=0, le=9), Also("imgage_type")] = 1
    w: float = 0
    h: float = 0


class ChatDownload(Download, kw_only=True):
    """The same of a file of a message or a shared one."""

    sign: str = msgspec.field(name="file_sign")
    format: str = ""


async def chat(context: RequestContext) -> object:
    """A file of a message or a shared one."""
    await _known(context)
    given = context.read(ChatDownload)
    return await _download(context, given, given.format)


async def avatar(context: RequestContext) -> object:
    """A profile picture."""
    await _known(context)
    return await _download(context, context.read(Download))


async def _download(context: RequestContext, given: Download, wanted: str = "") -> object:
    box = int(max(0, min(max(given.w, given.h), media.BOXES[-1])))
    record = await record_of(context, signed(context, given.sign, DOWNLOAD))
    shown = await _shown(context, record, given.image_type, box, wanted)
    return await _response(context, record, shown)


async def _known(context: RequestContext) -> None:
    """The caller shows a token of this app: of an account, or made for files (:data:`lanying.base.tokens.ROLE_FILES`)."""
    if is_admin(context):
        return
    role = identify(context).role if context.token else ROLE_USER
    in_address = "access-token" not in context.request.headers
    if role == ROLE_USER and context.token and in_address and not context.services.config.files.account_tokens:
        raise CallError(
            Refusal.TOKEN_REJECTED, "this server takes no account's token in an address; get one at /file/token"
        )
    await authenticate(context, role=ROLE_FILES if role == ROLE_FILES else ROLE_USER)


async def _shown(context: RequestContext, record: FileRecord, image_type: int, box: int, wanted: str) -> SentObject:
    """The original or what is made of it."""
    original, kind, make = object_key(record.owner, record.number), record.kind, context.services.conversions
    if kind in media.PICTURES and (image_type == THUMBNAIL or box):
        size = next(side for side in media.BOXES if side >= (box or media.DEFAULT_BOX))
        key = f"{original}.t{size}"
        made = await _made(context, original, f"t{size}", "", lambda it, to: make.thumbnail(key, it, kind, size, to))
    elif kind.startswith("video/") and image_type in (THUMBNAIL, COVER):
        key = f"{original}.cover"
        made = await _made(context, original, "cover", "image/jpeg", lambda it, to: make.cover(key, it, kind, to))
        if made is None:
            raise CallError(
                Refusal.NOT_OFFERED,
                "no picture of this video: ffmpeg is not installed on the server, or it cannot read the video",
            )
    elif wanted == "mp3" and kind.startswith("audio/") and kind != "audio/mpeg":
        key = f"{original}.mp3"
        made = await _made(context, original, "mp3", "audio/mpeg", lambda it, to: make.mp3(key, it, kind, to))
    else:
        made = None
    return made or SentObject(original, record.size, record.kind)


async def _made(
    context: RequestContext, original: str, mark: str, kind: str, make: Callable[[Path, Path], Awaitable[bool]]
) -> SentObject | None:
    """Something made of a file, made now if it is not there yet. None: it cannot be made. :raises CallError: 503 too many wait"""
    store, conversions = context.services.files, context.services.conversions
    objects, key = store.objects, f"{original}.{mark}"

    async def build() -> None:
        target = store.scratch(key)
        try:
            async with objects.local(original) as source:
                if await make(source, target):
                    await objects.put(key, target)
        finally:
            target.unlink(missing_ok=True)

    size = await objects.size(key)
    if size is None and not conversions.hopeless(key):
        async with conversions.turn(context.peer):
            size = await objects.size(key)
            if size is None and not conversions.hopeless(key):
                try:
                    await build()
                    size = await objects.size(key)
                except OSError:
                    size = None
    if size is None:
        return None
    if not kind:
        kind = media.kind_of(b"".join([piece async for piece in await objects.open(key, 0, 16)]))
    return SentObject(key, size, kind, mark)


async def _response(context: RequestContext, record: FileRecord, shown: SentObject) -> Response:
    asked = context.request.headers
    etag = f'"{record.sha256[:32]}{shown.mark}"'
    headers = _headers(record, shown, etag)
    if etag in asked.get("if-none-match", "") or asked.get("if-none-match") == "*":
        return Response(status_code=304, headers=headers)
    first, last, status = 0, shown.size - 1, 200
    span = _RANGE.fullmatch(asked.get("range", ""))
    if span and (span[1] or span[2]) and asked.get("if-range", etag) == etag:
        if span[1]:
            first = int(span[1])
            last = min(int(span[2]) if span[2] else last, last)
        else:
            first = max(0, shown.size - int(span[2]))
        if first > last:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{shown.size}"})
        status = 206
        headers["content-range"] = f"bytes {first}-{last}/{shown.size}"
    length = last - first + 1
    headers["content-length"] = str(length)
    if context.request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    try:
        pieces = await context.services.files.objects.open(shown.key, first, length)
    except OSError as error:
        raise CallError(Refusal.NOT_OFFERED, "the file does not exist; it may have been deleted") from error

    return StreamingResponse(pieces, status, headers)


def _headers(record: FileRecord, shown: SentObject, etag: str) -> dict[str, str]:
    inline = shown.kind in media.INLINE
    name = record.name or "file"
    plain = "".join(letter if letter.isascii() and letter not in '"\\%' else "_" for letter in name)
    return {
        "content-type": shown.kind if inline else media.UNKNOWN,
        "content-disposition": f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cross-origin-resource-policy": "cross-origin",
        "cache-control": "private, max-age=31536000, immutable",
        "accept-ranges": "bytes",
        "etag": etag,
    }


ENDPOINTS: Final = (
    Endpoint(_GET, "/file/download/chat", chat, token=False, url_token=True, statuses=True, takes=ChatDownload),
    Endpoint(_GET, "/file/download/avatar", avatar, token=False, url_token=True, statuses=True, takes=Download),
)
