"""Conversations as scripts: what people do and what their devices hear, one step per line, on any :class:`Stage`.

::

    alice, bob register
    alice's phone, bob's phone come
    alice: POST /group/create {"name": "club", "user_list": [@bob]} as club
    bob's phone hears GROUP JOINED in club from bob to alice
    alice's phone says "hello" to club as m1
    bob's phone hears "hello" in club from alice
    bob's phone does RECALL on m1 to club in club: refused "only the author may change a message"
    alice's phone does RECALL on m1 to club in club
    bob's phone hears RECALL m1 to club from alice
    bob's phone has history with club: -

``@name`` is the id of a user, group or message named before. ``hears`` takes events separated by ``;`` in any order, ``hears
nothing`` says that all events have been named. A REST call may say ``: refused CODE`` or ``: gives JSON``. Events:

==================================================  ================================================================
``"text" from alice``, ``"text" in club from …``    an ordinary message
``RECALL m1 to bob from alice``                     an operation, ``-`` without a message, ``(conversation)`` if it names one
``GROUP JOINED in club from bob to alice, carol``   notices; ``ROSTER ADDED from bob to alice``
``CONVERSATION DELETE_EVERYWHERE bob``              operations on conversations
==================================================  ================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from lanying.protocol import frame
from lanying.protocol.schema import xsync_pb2 as pb

READ = pb.MessageBody.READ


class PlaybookDevice(Protocol):
    """A device's connection, which answers NOTICE and next_key by itself.

    :ivar metas: what came, in order
    :ivar acknowledged: message id by client id; ``refused``: status code and reason by client id, 0 for none
    :ivar pages: history answers
    """

    metas: list[pb.Meta]
    acknowledged: dict[int, int]
    refused: dict[int, tuple[int, str]]
    pages: list[pb.SyncDL]

    def put(self, data: bytes) -> None:
        """Send a frame."""

    def leave(self) -> None:
        """Disconnect."""


class Stage(Protocol):
    """A server to play on."""

    def rest(self, token: str, method: str, path: str, body: Any) -> dict[str, Any]:
        """A REST call's envelope."""

    def connect(self, name: str, uid: int, token: str, guid: str) -> PlaybookDevice:
        """Log a device in, and let it fetch what waits for it."""

    def wait(self, what: str, holds: Callable[[], bool], saw: Callable[[], object]) -> None:
        """Let the server do its work until something holds. :raises AssertionError: it does not, with what was seen"""


class Playbook:
    """One performance of a script."""

    def __init__(self, stage: Stage, prefix: str = "") -> None:
        """:param prefix: put before user names, for stages that are played on more than once"""
        self._stage = stage
        self._prefix = prefix
        self._ids: dict[str, int] = {}
        self._tokens: dict[str, str] = {}
        self._lines: dict[str, PlaybookDevice] = {}
        self._unnamed: dict[str, list[str]] = {}
        self._seen: dict[str, int] = {}
        self._client_mid = 1_700_000_000_000

    def play(self, script: str) -> None:
        """:raises AssertionError: with the line where it went another way"""
        for number, line in enumerate(script.splitlines(), 1):
            step = line.strip()
            if step and not step.startswith("#"):
                try:
                    self._step(step)
                except AssertionError as error:
                    raise AssertionError(f"line {number}: {step}\n{error}") from error

    def _step(self, step: str) -> None:
        for pattern, action in _STEPS:
            found = pattern.fullmatch(step)
            if found:
                getattr(self, action)(**found.groupdict())
                return
        raise AssertionError("no step reads like this")

    # --- steps -------------------------------------------------------------------------------------------------------

    def _register(self, names: str) -> None:
        for name in re.split(r", | and ", names):
            user = {"username": self._prefix + name, "password": "correct-horse1"}
            done = self._stage.rest("", "POST", "/user/register/v2", user)
            assert done["code"] == 200, done
            login = {"name": self._prefix + name, "password": "correct-horse1"}
            granted = self._stage.rest("", "POST", "/token/user", login)["data"]
            self._ids[name], self._tokens[name] = granted["user_id"], granted["token"]

    def _come(self, devices: str) -> None:
        for device in _devices(devices):
            name, guid = device.split("'s ")
            line = self._stage.connect(self._prefix + name, self._ids[name], self._tokens[name], guid)
            self._lines[device] = line
            self._unnamed[device], self._seen[device] = [], 0

    def _go(self, devices: str) -> None:
        for device in _devices(devices):
            self._lines.pop(device).leave()

    def _rest(
        self, name: str, method: str, path: str, body: str | None, label: str | None, code: str | None, data: str | None
    ) -> None:
        sent = json.loads(self._fill(body)) if body else None
        envelope = self._stage.rest(self._tokens[name], method, self._fill(path), sent)
        assert envelope["code"] == (int(code) if code else 200), envelope
        if label:
            self._ids[label] = envelope["data"]["group_id"]
        if data:
            assert _covers(envelope["data"], json.loads(self._fill(data))), envelope["data"]

    def _say(self, device: str, text: str, to: str, fields: str | None, label: str | None, reason: str | None) -> None:
        more: dict[str, Any] = json.loads(self._fill(fields)) if fields else {}
        group = f"{to}!" in self._groups
        kind = pb.MessageBody.GROUPCHAT if group else pb.MessageBody.CHAT
        body = pb.MessageBody(type=kind, content=text, **more)
        self._upload(device, self._ids[to], body, label, reason)

    def _operate(
        self,
        device: str,
        kind: str,
        target: str | None,
        to: str,
        where: str | None,
        text: str | None,
        reason: str | None,
    ) -> None:
        body = pb.MessageBody(type=pb.MessageBody.OPER, ctype=pb.MessageBody.COMMAND, content=text or "")
        body.operation.type = pb.MessageOperation.OpType.Value(kind)
        if target:
            body.operation.mid = self._ids[target]
        if where:
            body.operation.xid.uid = self._ids[where]
        self._upload(device, self._ids[to] if to != "0" else 0, body, None, reason)

    def _drop(self, device: str, where: str, how: str) -> None:
        payload = pb.Conversation(type=pb.Conversation.OPER)
        everywhere = how == "everywhere"
        kinds = pb.ConversationOperation
        payload.operation.type = kinds.DELETE_EVERYWHERE if everywhere else kinds.DELETE
        payload.operation.xid.uid = self._ids[where]
        self._send(device, 0, pb.Meta.CONVERSATION, payload.SerializeToString(), None, None)

    def _hear(self, devices: str, events: str) -> None:
        for device in _devices(devices):
            wanted = [] if events == "nothing" else events.split("; ")

            def all_heard(device: str = device, wanted: Sequence[str] = wanted) -> bool:
                self._listen(device)
                left = list(self._unnamed[device])
                for event in wanted:
                    if event not in left:
                        return False
                    left.remove(event)
                return True

            self._stage.wait(f"{device} hears {events}", all_heard, partial(self._unnamed.get, device))
            for event in wanted:
                self._unnamed[device].remove(event)
            if not wanted:
                assert not self._unnamed[device], f"{device} heard {self._unnamed[device]}"

    def _history(self, device: str, where: str, texts: str) -> None:
        line = self._lines[device]
        known = len(line.pages)
        line.put(frame.history_request(self._ids[where], 0, 20))
        self._stage.wait("a history page", lambda: len(line.pages) > known, lambda: line.pages)
        shown = []
        for meta in reversed(line.pages[-1].metas):
            body = pb.MessageBody.FromString(meta.payload)
            shown.append(f'"{body.content}"' + (" read" if body.status == READ else ""))
        assert shown == ([] if texts == "-" else texts.split(", ")), f"{device} has {shown}"

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _groups(self) -> set[str]:
        return {f"{name}!" for name, number in self._ids.items() if name not in self._tokens and number < 10**12}

    def _upload(self, device: str, to: int, body: pb.MessageBody, label: str | None, reason: str | None) -> None:
        self._send(device, to, pb.Meta.MESSAGE, body.SerializeToString(), label, reason)

    def _send(self, device: str, to: int, ns: int, payload: bytes, label: str | None, reason: str | None) -> None:
        line = self._lines[device]
        self._client_mid += 1
        mid, uid = self._client_mid, self._ids[device.split("'s ")[0]]
        line.refused.pop(0, None)
        line.put(frame.send_meta(mid, uid, 1, to, mid, ns, payload))
        self._stage.wait(
            "an answer",
            lambda: mid in line.acknowledged or mid in line.refused or 0 in line.refused,
            lambda: (line.acknowledged, line.refused),
        )
        refused = line.refused.get(mid) or line.refused.get(0)
        if reason is not None:
            assert refused is not None, "it was accepted"
            assert reason in refused[1] or reason == str(refused[0]), refused
        else:
            assert refused is None, refused
            if label:
                self._ids[label] = line.acknowledged[mid]

    def _listen(self, device: str) -> None:
        metas = self._lines[device].metas
        fresh = metas[self._seen[device] :]
        self._seen[device] += len(fresh)
        uid = self._ids[device.split("'s ")[0]]
        self._unnamed[device] += [event for meta in fresh for event in self._describe(meta, uid)]

    def _describe(self, meta: pb.Meta, uid: int) -> Iterator[str]:
        sender = self._name(getattr(meta, "from").uid)
        if meta.ns == pb.Meta.MESSAGE:
            body = pb.MessageBody.FromString(meta.payload)
            if body.type == pb.MessageBody.OPER:
                operation = body.operation
                kind = pb.MessageOperation.OpType.Name(operation.type)
                target = self._name(operation.mid) if operation.mid else "-"
                text = f' "{body.content}"' if body.content else ""
                where = (
                    f" ({self._name(operation.xid.uid)})"
                    if operation.xid.uid and operation.xid.uid != meta.to.uid
                    else ""
                )
                yield f"{kind} {target}{text} to {self._name(meta.to.uid)}{where} from {sender}"
            else:
                where = f" in {self._name(meta.to.uid)}" if body.type == pb.MessageBody.GROUPCHAT else ""
                yield f'"{body.content}"{where} from {sender}'
        elif meta.ns == pb.Meta.GROUP_NOTICE:
            group = pb.GroupNotice.FromString(meta.payload)
            kind = pb.GroupNotice.Type.Name(group.type)
            yield (
                f"GROUP {kind} in {self._name(group.gid.uid)} from {self._name(getattr(group, 'from').uid)}"
                + self._to(group.to)
            )
        elif meta.ns == pb.Meta.ROSTER_NOTICE:
            roster = pb.RosterNotice.FromString(meta.payload)
            kind = pb.RosterNotice.Type.Name(roster.type)
            yield f"ROSTER {kind} from {self._name(getattr(roster, 'from').uid)}" + self._to(roster.to)
        elif meta.ns == pb.Meta.CONVERSATION:
            done = pb.Conversation.FromString(meta.payload).operation
            yield f"CONVERSATION {pb.ConversationOperation.OpType.Name(done.type)} {self._name(done.xid.uid)}"

    def _to(self, xids: Sequence[pb.XID]) -> str:
        names = sorted(self._name(xid.uid) for xid in xids)
        return " to " + ", ".join(names) if names else ""

    def _name(self, number: int) -> str:
        return next((name for name, known in self._ids.items() if known == number), str(number))

    def _fill(self, text: str) -> str:
        return re.sub(r"@(\w+)", lambda found: str(self._ids[found[1]]), text)


def _devices(text: str) -> list[str]:
    return re.split(r", | and ", text)


def _covers(found: Any, wanted: Any) -> bool:
    """Objects may have more members than wanted, lists are the same in any order."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and _covers(found[key], it) for key, it in wanted.items())
    if isinstance(wanted, list):
        left = list(found)
        for it in wanted:
            match = next((at for at, row in enumerate(left) if _covers(row, it)), None)
            if match is None:
                return False
            del left[match]
        return not left
    return bool(found == wanted)


_DEVICE = r"\w+'s \w+"
_DEVICES = rf"{_DEVICE}(?:(?:, | and ){_DEVICE})*"
_REFUSED = r'(?:: refused "?(?P<reason>[^"]*)"?)?'
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?P<names>\w+(?:(?:, | and )\w+)*) registers?"), "_register"),
    (re.compile(rf"(?P<devices>{_DEVICES}) comes?"), "_come"),
    (re.compile(rf"(?P<devices>{_DEVICES}) goe?s?"), "_go"),
    (
        re.compile(
            r"(?P<name>\w+): (?P<method>GET|POST) (?P<path>\S+?)(?: (?P<body>\{.*?\}))?(?: as (?P<label>\w+))?"
            r"(?:: refused (?P<code>\d+))?(?:: gives (?P<data>.+))?"
        ),
        "_rest",
    ),
    (
        re.compile(
            rf'(?P<device>{_DEVICE}) says "(?P<text>[^"]*)" to (?P<to>\w+)(?: (?P<fields>\{{.*\}}))?(?: as (?P<label>\w+))?{_REFUSED}'
        ),
        "_say",
    ),
    (
        re.compile(
            rf"(?P<device>{_DEVICE}) does (?P<kind>[A-Z_]+)(?: on (?P<target>\w+))? to (?P<to>\w+)(?: in (?P<where>\w+))?"
            rf'(?: with "(?P<text>[^"]*)")?{_REFUSED}'
        ),
        "_operate",
    ),
    (re.compile(rf"(?P<device>{_DEVICE}) drops (?P<where>\w+) (?P<how>everywhere|here)"), "_drop"),
    (re.compile(rf"(?P<devices>{_DEVICES}) hears? (?P<events>.+)"), "_hear"),
    (re.compile(rf"(?P<device>{_DEVICE}) has history with (?P<where>\w+): (?P<texts>.+)"), "_history"),
)
