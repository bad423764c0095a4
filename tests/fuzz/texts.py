"""Texts: JSON, parameters of requests, names, addresses, configuration, ids. Refusals are declared and say something."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from lanying.base import ids, jsons, names, peers
from lanying.base.errors import CallError, ConfigError, LanyingError
from lanying.cluster.shardmap import parse_slots
from lanying.config import load
from lanying.gateway.app import ENDPOINTS
from lanying.gateway.http.params import fields, parse, read
from lanying.push import decision
from tests.fuzz.target import Found, Target

_STRUCTS = [one.parameters for one in ENDPOINTS if one.parameters is not None]


class Texts(Target):
    """The first byte chooses what it is a text of."""

    unit = "texts"
    words = (
        b'{"a":',
        b"[" * 33,
        b"\\u0000",
        b"1e999",
        b"\xed\xa0\x80",
        b"[[apps]]\n",
        b"= true\n",
        b"[storage]\n",
        b"&a=",
        b"\xe2\x80\xae",
    )

    def renew(self) -> None:
        self._file = Path(tempfile.gettempdir()) / "lanying-fuzz.toml"
        self._readers: list[Callable[[bytes], None]] = [
            json,
            parameters,
            name,
            address,
            self._configuration,
            environment,
            push,
        ]

    def close(self) -> None:
        self._file.unlink(missing_ok=True)

    def seeds(self) -> list[bytes]:
        examples = (
            [b'{"a":[1,2.5,null,true,"x"]}', b"[" * 1010 + b"]" * 1010, b'{"a":' * 40 + b"1" + b"}" * 40],
            [bytes([at]) + b'\0a=1&b=7\0{"list":[1,"2"],"x":true,"a":"b","c":{},"d":-1}' for at in range(60)],
            [b"anna", "张三".encode(), b"\xe2\x80\xaex", b"123", "ﬁ\u0301".encode()],
            [b"1.2.3.4", b"[::1]:80", b"::ffff:1.2.3.4", b"fe80::1%eth0", b"1.2.3.4, 5.6.7.8"],
            [
                b'shards = 2\nlisten = "0.0.0.0:8480"\n[storage]\ndurability = "os"\n',
                b"[accounts]\nopen_registration = true\n",
            ],
            [b"STORAGE_DURABILITY=os", b"SHARDS=2", b"LISTEN=[::]:80", b"POLICY_USER_MESSAGES_PER_S=-1"],
            [b'{"push_title":1,"mentionList":["1",2],"mentionAll":true,"silence":{}}', b'{"ctype":[]}'],
        )
        return [bytes([at]) + one for at, some in enumerate(examples) for one in some]

    def judge(self, data: bytes) -> None:
        self.units += 1
        if data:
            self._readers[data[0] % len(self._readers)](data[1:])

    def _configuration(self, data: bytes) -> None:
        self._file.write_bytes(data)
        refused(lambda: load.load(self._file, {}))


def refused(act: Callable[[], object]) -> None:
    """It may be, with a text."""
    try:
        act()
    except (ConfigError, CallError) as error:
        if not str(error):
            raise Found(f"refused without a reason: {error!r}") from error


def json(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    found = jsons.loads_object(data)
    jsons.loads_object(text)
    if found is not None and (jsons.too_deep(text) or len(repr(found)) > 40 * len(data) + 400):
        raise Found(f"{data!r} is taken")
    try:
        jsons.read(data)
    except ValueError:
        pass


def parameters(data: bytes) -> None:
    """As those of one endpoint, and under every name that has a type: a value is taken or refused."""
    which, query, body = (data + b"\0\0").split(b"\0", 2)
    try:
        values = parse(query, body.rstrip(b"\0"))
    except CallError:
        return
    kind = _STRUCTS[which[0] % len(_STRUCTS) if which else 0]
    given = dict(zip((field.name for field in fields(kind)), values.values(), strict=False))
    for one in (values, given):
        refused(lambda one=one: read(kind, one))  # type: ignore[misc]


def name(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if names.compared(names.compared(text)) != names.compared(text):
        raise Found(f"{text!r} compares as {names.compared(text)!r} and then as another")
    names.username_error(text)
    try:
        shown = names.display_name(text)
    except ValueError as error:
        assert str(error)
        return
    if len(shown.splitlines()) > 1 or shown != names.display_name(shown):
        raise Found(f"{text!r} is shown as {shown!r}")


def address(data: bytes) -> None:
    text = data.decode("latin-1")
    peers.peer_key(text)
    peers.plain_address(text)
    peers.Proxies(("0.0.0.0/0", "::/0")).client("1.2.3.4", text)
    try:
        parse_slots(text)
    except (ValueError, LanyingError):
        pass
    assert ids is not None


def environment(data: bytes) -> None:
    key, _, value = data.decode("utf-8", "replace").partition("=")
    if re.fullmatch(r"\w*", key) and "\0" not in value:
        refused(lambda: load.load(None, {f"LANYING_{key}": value}))


def push(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    config = decision.read_config(text)
    decision.mentions(config, 7)
