"""Short-lived secrets under a code: QR logins, captchas, SMS codes, one-time passwords. Pure.

They are kept on a shard, for a gateway that restarts must not turn a phone away that is just scanning. A code's row is in
the hash slot of its text; a slot holds few of a kind, and whoever adds one removes those that have expired, so nothing has to sweep.
Where a slot is full the address that has the most there gives up its oldest: who floods makes room for everybody else.
"""

from __future__ import annotations

import hmac
from collections import Counter

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.bus.messages import PutCode
from lanying.cluster.shardmap import slot_of_name
from lanying.shard.core.work import Work
from lanying.shard.store import schema


class Code(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``codes``. ``attempts``: wrong answers it still takes; ``peer``: the address it was made for."""

    value: str
    expires_ms: int
    attempts: int
    peer: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Code).decode


def put(work: Work, wanted: PutCode) -> None:
    """Keep a secret, in place of one under the same code. :raises CallError: 10002 too long, 503 too many"""
    if len(wanted.value) > limits.CODE_CHARS:
        raise CallError(Refusal.INVALID_PARAMETER, f"a secret has at most {limits.CODE_CHARS} characters")
    key = _key(wanted.app, wanted.kind, wanted.code)
    kind = _key_of_kind(wanted.app, wanted.kind, key[:2])
    others: list[tuple[bytes, Code]] = []
    for other, row in work.store.scan(schema.CODES, key[:2], schema.successor(key[:2])):
        if other == key:
            continue
        found = _decode(row)
        if found.expires_ms <= work.now_ms:
            work.delete(schema.CODES, other)
        elif other.startswith(kind):
            others.append((other, found))
    if len(others) >= limits.CODES_PER_SLOT:
        work.delete(schema.CODES, _who_makes_room(others, wanted.peer))
    expires_ms = min(wanted.expires_ms, work.now_ms + limits.CODE_LIFETIME_MS)
    work.put(schema.CODES, key, _encode(Code(wanted.value, expires_ms, wanted.attempts, wanted.peer)))


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


def _who_makes_room(codes: list[tuple[bytes, Code]], peer: str) -> bytes:
    """The key of the code that goes for a new one of ``peer``. :raises CallError: 503, each belongs to somebody else"""
    held = Counter(code.peer for _, code in codes)
    largest, most = held.most_common(1)[0]
    own = held[peer]
    if not own and most == 1:
        raise CallError(Refusal.UNAVAILABLE, "too many codes are in use, try again in a minute")
    loser = peer if own and own + 1 >= most else largest
    return min((code.expires_ms, key) for key, code in codes if code.peer == loser)[1]


def _load(work: Work, key: bytes) -> Code | None:
    row = work.store.get(schema.CODES, key)
    found = None if row is None else _decode(row)
    return found if found is not None and found.expires_ms > work.now_ms else None


def _key(app: str, kind: str, code: str) -> bytes:
    slot = schema.pack_u16(slot_of_name(app, f"{kind}:{code}"))
    return _key_of_kind(app, kind, slot) + code.encode()


def _key_of_kind(app: str, kind: str, slot: bytes) -> bytes:
    """What the keys of all codes of a kind begin with, in a slot."""
    return slot + f"{app}\0{kind}:".encode()
