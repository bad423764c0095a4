"""Devices a user has logged in with, and their serial numbers. Pure.

A device is known by the ``device_guid`` of its login (xsync 5.1); the number a client claims is ignored. Numbers of a
user start at 1 and only grow: row 0 (u32) remembers the highest one given out, so a forgotten number never comes back
with another device's cursors.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.ids import DeviceNumber
from lanying.base.refusals import Refusal
from lanying.bus.messages import DeviceInfo
from lanying.protocol.schema import xsync_pb2 as pb
from lanying.shard.accounts import accounts
from lanying.shard.core.work import Work
from lanying.shard.store import schema
from lanying.shard.store.base import Store

MAX_SN: Final = (1 << 31) - 1


class DeviceRecord(msgspec.Struct, array_like=True, frozen=True):
    """Record in ``devices``. ``notifier`` and ``push_token``: where vendor pushes go, empty for nowhere."""

    sn: DeviceNumber
    guid: str = ""
    os_type: int = 0
    info: str = ""
    first_seen_ms: int = 0
    last_seen_ms: int = 0
    notifier: str = ""
    push_token: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DeviceRecord).decode


def admit(
    work: Work,
    uid: int,
    guid: str,
    os_type: int,
    info: str,
    online: Collection[int] = (),
    push: tuple[str, str] = ("", ""),
) -> tuple[DeviceRecord, bool]:
    """The device of a login, and whether it is new.

    :param online: serial numbers that must not be forgotten to make room
    :param push: notifier and push token of the login frame, kept if both say something (as :func:`bind_push` does)
    """
    guid, info = guid[: limits.DEVICE_GUID_CHARS], info[: limits.DEVICE_GUID_CHARS]
    store, now_ms = work.store, work.now_ms
    known = list_all(store, uid)
    found = next((device for device in known if guid and device.guid == guid), None)
    bound = all(push)
    if bound:
        for other in known:
            if other is not found:
                _free(work, uid, other, push)
    if found is not None:
        device = msgspec.structs.replace(found, os_type=os_type, info=info, last_seen_ms=now_ms)
        if bound:
            device = msgspec.structs.replace(device, notifier=push[0], push_token=push[1])
        _save(work, uid, device)
        return device, False
    stale = sorted((device for device in known if device.sn not in online), key=_last_seen)
    for old in stale[: max(0, len(known) + 1 - limits.DEVICE_RECORDS_PER_USER)]:
        _forget(work, uid, old.sn)
    row = store.get(schema.DEVICES, schema.pack_device(uid, 0))
    sn = (int.from_bytes(row, "big") if row is not None else 0) + 1
    assert sn <= MAX_SN
    work.put(schema.DEVICES, schema.pack_device(uid, 0), schema.pack_u32(sn))
    device = DeviceRecord(sn, guid, os_type, info, now_ms, now_ms, *(push if bound else ("", "")))
    _save(work, uid, device)
    return device, True


def seen(work: Work, uid: int, sn: int) -> None:
    """A session of this device ended just now."""
    device = get(work.store, uid, sn)
    if device is not None:
        seen_now = msgspec.structs.replace(device, last_seen_ms=work.now_ms)
        work.put_lazy(schema.DEVICES, schema.pack_device(uid, sn), _encode(seen_now))


def get(store: Store, uid: int, sn: int) -> DeviceRecord | None:
    """One device."""
    row = store.get(schema.DEVICES, schema.pack_device(uid, sn)) if 0 < sn <= MAX_SN else None
    return None if row is None else _decode(row)


def list_all(store: Store, uid: int) -> list[DeviceRecord]:
    """All remembered devices of a user, by serial number."""
    rows = store.scan(schema.DEVICES, schema.pack_device(uid, 1), schema.successor(schema.pack_u64(uid)))
    return [_decode(row) for _, row in rows]


def forget(work: Work, uid: int, sn: int) -> bool:
    """Forget a device and its cursors; was it known?"""
    known = get(work.store, uid, sn) is not None
    if known:
        _forget(work, uid, sn)
    return known


def describe(work: Work, uid: int) -> list[DeviceInfo]:
    """Devices as the REST API lists them: online ones first, then the latest seen. :raises CallError: 10000"""
    accounts.need(work.store, uid)
    online = frozenset(work.online(uid))
    found = [
        DeviceInfo(device.sn, device.os_type, device.info, uid, device.sn in online, device.last_seen_ms)
        for device in list_all(work.store, uid)
    ]
    return sorted(found, key=lambda device: (not device.online, -device.last_seen_ms, -device.device_sn))


def remove(work: Work, uid: int, sn: int) -> bool:
    """Log a device out and forget it. :raises CallError: 10002 not a serial number"""
    if not 0 < sn <= MAX_SN:
        raise CallError(Refusal.INVALID_PARAMETER, "device_sn is a serial number from the device list")
    work.kick(uid, sn, pb.UserNotice.DEVICE_REMOVED)
    return forget(work, uid, sn)


def bind_push(work: Work, uid: int, sn: int, notifier: str, device_token: str) -> None:
    """Where vendor pushes of a device go; one token belongs to one device of a user. :raises CallError: 10002"""
    if get(work.store, uid, sn) is None:
        raise CallError(
            Refusal.INVALID_PARAMETER,
            "device_sn is a serial number from the device list, of a device that has logged in",
        )
    for device in list_all(work.store, uid):
        if device.sn == sn:
            _save(work, uid, msgspec.structs.replace(device, notifier=notifier, push_token=device_token))
        elif device_token:
            _free(work, uid, device, (notifier, device_token))


def has_push(store: Store, uid: int, guid: str, push: tuple[str, str]) -> bool:
    """Is this device bound to this notifier and token already?"""
    return any(device.guid == guid and (device.notifier, device.push_token) == push for device in list_all(store, uid))


def unbind_push(work: Work, uid: int, token: str, notifier: str = "") -> None:
    """This token (of any notifier) is dead or somebody else's; another one that was bound meanwhile stays."""
    for device in list_all(work.store, uid):
        if device.push_token == token and notifier in ("", device.notifier):
            _save(work, uid, msgspec.structs.replace(device, notifier="", push_token=""))


def unbind_pushes(work: Work, uid: int, sn: int = 0, except_sn: int = 0) -> None:
    """A device, or all with 0, are logged out."""
    for device in list_all(work.store, uid):
        if device.push_token and sn in (0, device.sn) and device.sn != except_sn:
            _save(work, uid, msgspec.structs.replace(device, notifier="", push_token=""))


def _free(work: Work, uid: int, device: DeviceRecord, push: tuple[str, str]) -> None:
    """Another device has this push token now: pushes go to one of them only."""
    if (device.notifier, device.push_token) == push:
        _save(work, uid, msgspec.structs.replace(device, notifier="", push_token=""))


def _last_seen(device: DeviceRecord) -> int:
    return device.last_seen_ms


def _save(work: Work, uid: int, device: DeviceRecord) -> None:
    work.put(schema.DEVICES, schema.pack_device(uid, device.sn), _encode(device))
    _changed(work, uid)


def _forget(work: Work, uid: int, sn: int) -> None:
    prefix = schema.pack_device(uid, sn)
    work.delete(schema.DEVICES, prefix)
    _changed(work, uid)
    for key, _ in work.store.scan(schema.CURSORS, prefix, schema.successor(prefix)):
        work.delete(schema.CURSORS, key)


def _changed(work: Work, uid: int) -> None:
    """Who has a push token is known by heart elsewhere; this module is the only one that writes devices."""
    work.device_changed(uid)
    work.undo((work.device_changed, uid))
