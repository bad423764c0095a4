"""Short-lived secrets under a code: QR logins, captchas, SMS codes, one-time passwords. Pure.

They are kept on a shard, for a gateway that restarts must not turn a phone away that is just scanning. A code's row is in
the hash slot of its text; a slot holds few, and whoever adds one removes those that have expired, so nothing has to sweep.
"""

from __future__ import annotations

import hmac

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import PutCode
from lanying.cluster.shardmap import slot_of_name
from lanying.shard.core.work import Work
from lanying.shard.store import schema


class Code(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``codes``. ``attempts``: wrong answers it still takes."""

    value: str
    expires_ms: int
    attempts: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Code).decode


def put(work: Work, wanted: PutCode) -> None:
    """Keep a secret, in place of one under the same code. :raises CallError: 10002 too long, 503 too many"""
    if len(wanted.value) > limits.CODE_CHARS:
        raise CallError(Refusal.INVALID_PARAMETER, f"a secret has at most {limits.CODE_CHARS} characters")
    key = _key(wanted.app, wanted.kind, wanted.code)
    others = 0
    for other, row in work.store.scan(schema.CODES, key[:2], schema.successor(key[:2])):
        if other == key:
            continue
        if _decode(row).expires_ms <= work.now_ms:
            work.delete(schema.CODES, other)
        else:
            others += 1
    if others >= limits.CODES_PER_SLOT:
        raise CallError(Refusal.UNAVAILABLE, "too many codes are in use, try again")
    expires_ms = min(wanted.expires_ms, work.now_ms + limits.CODE_LIFETIME_MS)
    work.put(schema.CODES, key, _encode(Code(wanted.value, expires_ms, wanted.attempts)))


def read(work: Work, app: str, kind: str, code: str, take: bool = False) -> str | None:
    """The secret; ``take``: for the last time."""
    key = _key(app, kind, code)
    found = _load(work, key)
    if found is None:
        return None
    if take:
        work.delete(schema.CODES, key)
    return found.value


def check(work: Work, app: str, kind: str, code: str, answer: str) -> bool:
    """Is this the secret? It answers yes once, and a wrong answer costs an attempt."""
    key = _key(app, kind, code)
    found = _load(work, key)
    if found is None:
        return False
    right = hmac.compare_digest(found.value.encode(), answer.encode())
    if right or found.attempts <= 1:
        work.delete(schema.CODES, key)
    else:
        work.put(schema.CODES, key, _encode(msgspec.structs.replace(found, attempts=found.attempts - 1)))
    return right


def _load(work: Work, key: bytes) -> Code | None:
    row = work.store.get(schema.CODES, key)
    found = None if row is None else _decode(row)
    return found if found is not None and found.expires_ms > work.now_ms else None


def _key(app: str, kind: str, code: str) -> bytes:
    name = f"{kind}:{code}"
    return schema.pack_u16(slot_of_name(app, name)) + app.encode() + b"\0" + name.encode()
