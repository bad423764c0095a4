"""Bytes as choices: the same bytes make the same choices, and near bytes near ones, which is what a mutator needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")

NUMBERS = (0, 1, 2, 3, 5, 20, 127, 128, 255, 256, 65535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32)
NUMBERS += ((1 << 53) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
TEXTS = (
    *(
        "",
        "x",
        "0",
        "-1",
        "null",
        "true",
        "[]",
        "{}",
        '{"a":{"b":1}}',
        '{"a":1e999}',
        "\0",
        "\ud7ff",
        "ä" * 300,
        "a" * 5000,
    ),
    *("[" * 1010 + "]" * 1010, "{" * 50, '{"a":' * 400 + "1" + "}" * 400, '{"callId":' + "[" * 31 + "]" * 31 + "}"),
    *(
        '{"action":"call","callId":"1"}',
        '{"input_status":1}',
        '{"mentionList":[1,2],"mentionAll":true}',
        "http://[",
        "javascript:0",
    ),
    *("../../x", "\u202etxt.exe", "9" * 400, "1e308", "NaN", "{" + ",".join(f'"{n}":{n}' for n in range(200)) + "}"),
)


class Source:
    """Choices out of ``data``; behind its end every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that are not used."""
        return len(self._data) - self._at

    def byte(self) -> int:
        at = self._at
        if at >= len(self._data):
            return 0
        self._at = at + 1
        return self._data[at]

    def bytes(self, count: int) -> bytes:
        """At most ``count`` bytes as they are."""
        found = self._data[self._at : self._at + count]
        self._at += len(found)
        return found

    def chunk(self) -> bytes:
        """Some bytes."""
        return self.bytes(self.byte())

    def pick(self, among: Sequence[T]) -> T:
        return among[self.byte() % len(among)]

    def number(self, bits: int = 64) -> int:
        """Of ``0 … 2**bits - 1``, mostly one where something ends."""
        kind = self.byte()
        if kind < 192:
            return NUMBERS[kind % len(NUMBERS)] & ((1 << bits) - 1)
        return int.from_bytes(self.bytes(kind % 9), "big") & ((1 << bits) - 1)

    def text(self) -> str:
        kind = self.byte()
        if kind < 160:
            return TEXTS[kind % len(TEXTS)]
        return self.bytes(kind - 160).decode("utf-8", "replace")

    def some(self, make: Callable[[], T], most: int = 5) -> list[T]:
        return [make() for _ in range(self.byte() % (most + 1))]


@cache
def fields_of(kind: type[Any]) -> tuple[inspect.Field, ...]:
    """Of a struct; found once, which takes longer than making one."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


Makers = Mapping[str, Callable[[Source], Any]]


class Values:
    """Values of a type, for messages.

    :param makers: by the name of a field, what makes its value; numbers, texts and the rest are made by type
    :param bits: of whole numbers
    """

    def __init__(self, makers: Makers, bits: int = 53) -> None:
        self._makers = makers
        self._bits = bits

    def struct(self, kind: type[Any], source: Source) -> Any:
        """A message of this class with anything in it that its types allow."""
        return kind(**{field.name: self._field(field, source) for field in fields_of(kind)})

    def _field(self, field: inspect.Field, source: Source) -> Any:
        if not field.required and source.byte() % 4 == 0:
            return field.default_factory() if field.default is msgspec.NODEFAULT else field.default  # type: ignore[operator]
        return self._named(field.name, field.type, source)

    def _named(self, name: str, kind: inspect.Type, source: Source) -> Any:
        make = self._makers.get(name)
        if make is not None and isinstance(kind, inspect.IntType | inspect.StrType | inspect.BytesType):
            return make(source)
        if isinstance(kind, inspect.ListType) and name.endswith("s") and name[:-1] in self._makers:
            return source.some(lambda: self._named(name[:-1], kind.item_type, source))
        return self._typed(kind, source)

    def _typed(self, kind: inspect.Type, source: Source) -> Any:
        match kind:
            case inspect.IntType():
                return source.number(self._bits)
            case inspect.StrType():
                return source.text()
            case inspect.BytesType() | inspect.RawType():
                return source.chunk()
            case inspect.BoolType():
                return source.byte() % 2 == 1
            case inspect.FloatType():
                return source.pick((0.0, 1.0, -1.0, 1e308, 0.5))
            case inspect.NoneType():
                return None
            case inspect.UnionType(types=types):
                return self._typed(source.pick(types), source)
            case inspect.ListType(item_type=item):
                return source.some(lambda: self._typed(item, source))
            case inspect.SetType(item_type=item):
                return set(source.some(lambda: self._typed(item, source)))
            case inspect.VarTupleType(item_type=item):
                return tuple(source.some(lambda: self._typed(item, source)))
            case inspect.TupleType(item_types=items):
                return tuple(self._typed(item, source) for item in items)
            case inspect.DictType(key_type=key, value_type=value):
                return dict(source.some(lambda: (self._typed(key, source), self._typed(value, source))))
            case inspect.EnumType(cls=cls):
                return source.pick(list(cls))
            case inspect.LiteralType(values=values):
                return source.pick(sorted(values, key=str))
            case inspect.StructType(cls=cls):
                return self.struct(cls, source)
            case inspect.AnyType():
                return source.pick((None, 0, "x", [], {}, {"a": [1]}))
        raise TypeError(f"no values of {kind}")
