"""What a parameter may be, by the type of its field; clients send numbers as texts, lists parted by commas, switches as 1 and 0.

======================  ===================================================================================================
``int``                 a whole number, also as a decimal text; from 0 unless ``Meta(ge=, le=)`` says otherwise
``float``               a number, also as a text
``str``                 a text, a number counts as its digits; at most ``TEXT_FIELD_CHARS``, or ``Meta(max_length=)``; ``Trimmed()``
``bool``                true or false, 1 or 0
``Literal``             one of these numbers, or one of these texts
``list[EntityId]``      ids without repetitions, in order, also a single one; numbers that can be no id are left out
``list[int]``           the same with numbers of any size
``list[str]``           texts without repetitions; ``Meta(max_length=)`` bounds the list and each text
``list[dict]``          objects as they came
``dict``                an object as it came
``object``              anything
======================  ===================================================================================================

``X | None`` is read as ``X``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

from msgspec import Meta

from lanying.base import limits
from lanying.base.ids import MAX_ENTITY_ID

_DECIMAL: Final = re.compile(r"-?[0-9]{1,19}")
_SWITCH: Final[dict[object, bool]] = {"true": True, "1": True, "false": False, "0": False}

EntityId = Annotated[int, Meta(ge=1, le=MAX_ENTITY_ID)]
"""Id of a user or a group."""
DeviceSn = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
"""Number of a device among those of its user."""
AnyDevice = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
"""The same, or 0 for none in particular."""
Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(max_length=limits.NAME_FIELD_CHARS)]


class Trimmed(NamedTuple):
    """In a text's annotation: space around it does not count, people type and paste it along."""


Handle = Annotated[Name, Trimmed()]
"""A name that leads to one user (:mod:`lanying.gateway.accounts.handles`)."""


class ReadByOthers(NamedTuple):
    """In a text's annotation: other users read it. ``name``: as the name of somebody or something."""

    name: bool = False


ShownText = Annotated[str, ReadByOthers()]
ShownName = Annotated[str, ReadByOthers(name=True)]
"""A text, and a name, that others read (:mod:`lanying.gateway.services.wording`)."""


class OrSwitch(NamedTuple):
    """In a number's annotation: true and false are taken too, as 1 and 0."""


class ValueKind(NamedTuple):
    """How a value is read.

    :ivar what: what it has to be, as the end of a sentence
    :ivar read: the value of what came. :raises ValueError: it is not that
    :ivar empty: an empty text is a value, and not the same as nothing
    """

    what: str
    read: Callable[[Any], object]
    empty: bool = False


def kind_of(hint: Any) -> ValueKind:
    """The kind of a field of this type. :raises TypeError: there is none for it"""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kind(arguments[0], Meta(), arguments[1:])
    return _kind(hint, Meta(), ())


def _kind(hint: Any, meta: Meta, marks: tuple[object, ...]) -> ValueKind:
    for mark in marks:
        meta = mark if isinstance(mark, Meta) else meta
    origin, arguments = get_origin(hint), get_args(hint)
    if type(None) in arguments:
        [inner] = (it for it in arguments if it is not type(None))
        return kind_of(inner)
    if origin is Literal:
        return _choice(arguments)
    if origin is list:
        return _list(arguments[0], meta)
    if hint is int:
        return _whole(meta, OrSwitch() in marks)
    if hint is str:
        return _text(meta.max_length or limits.TEXT_FIELD_CHARS, Trimmed() in marks)
    found = _PLAIN.get(origin or hint)
    if found is None:
        raise TypeError(f"there is no parameter of type {hint}")
    return found


def _whole(meta: Meta, or_switch: bool) -> ValueKind:
    least = int(meta.ge) if meta.ge is not None else 0
    most = int(meta.le) if meta.le is not None else limits.MAX_JSON_INT

    def read(value: object) -> int:
        found = _number(value)
        if found is None and or_switch:
            found = int(_switch(value))
        if found is None or not least <= found <= most:
            raise ValueError
        return found

    return ValueKind(f"a whole number from {least} to {most}", read)


def _text(most: int, trimmed: bool) -> ValueKind:
    def read(value: object) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > most:
            raise ValueError
        return value.strip() if trimmed else value

    return ValueKind(f"a text of at most {most} characters", read, empty=True)


def _choice(values: tuple[Any, ...]) -> ValueKind:
    what = "one of " + ", ".join(map(str, values)) if len(values) > 1 else str(values[0])

    def read(value: object) -> object:
        found = _number(value) if isinstance(values[0], int) else value
        if isinstance(found, list | dict) or found not in values:
            raise ValueError
        return found

    return ValueKind(what, read)


def _list(inner: Any, meta: Meta) -> ValueKind:
    if (get_origin(inner) or inner) is dict:
        return _objects(meta.max_length or limits.REST_ROWS)
    marks = get_args(inner)[1:] if get_origin(inner) is Annotated else ()
    if (get_args(inner)[0] if marks else inner) is str:
        bounds = next((it for it in marks if isinstance(it, Meta)), Meta())
        return _texts(meta.max_length or limits.REST_IDS, bounds.max_length or limits.TEXT_FIELD_CHARS)
    return _numbers(meta.max_length or limits.REST_IDS, only_ids=bool(marks))


def _numbers(most: int, only_ids: bool) -> ValueKind:
    def read(value: object) -> list[int]:
        numbers = [_number(it) for it in _parted([value] if isinstance(value, int) else value, most)]
        found: dict[int, None] = {}
        for number in numbers:
            if number is None:
                raise ValueError
            if not only_ids or 0 < number <= MAX_ENTITY_ID:
                found[number] = None
        return list(found)

    return ValueKind(f"a list of at most {most} ids", read, empty=True)


def _texts(most: int, chars: int) -> ValueKind:
    def read(value: object) -> list[str]:
        items = _parted(value, most)
        if not all(isinstance(item, str) and 0 < len(item) <= chars for item in items):
            raise ValueError
        return list(dict.fromkeys(items))

    return ValueKind(f"a list of at most {most} texts of 1 to {chars} characters", read, empty=True)


def _objects(most: int) -> ValueKind:
    def read(value: object) -> list[dict[str, Any]]:
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
            raise ValueError
        return value

    return ValueKind(f"a list of at most {most} objects", read)


def _parted(value: object, most: int) -> list[Any]:
    """A list, or the parts of a text; an empty text has none."""
    items = (value.split(",") if value else []) if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > most:
        raise ValueError
    return items


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= limits.MAX_JSON_INT else None
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return int(value)
    return None


def _switch(value: object) -> bool:
    found = _SWITCH.get(str(value).lower()) if isinstance(value, bool | int | str) else None
    if found is None:
        raise ValueError
    return found


def _decimal(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    try:
        found = float(value)
    except OverflowError as error:
        raise ValueError from error
    if not math.isfinite(found):
        raise ValueError
    return found


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


_PLAIN: Final[dict[object, ValueKind]] = {
    bool: ValueKind("true or false", _switch),
    float: ValueKind("a number", _decimal),
    dict: ValueKind("an object", _object),
    object: ValueKind("anything", lambda value: value, empty=True),
}
