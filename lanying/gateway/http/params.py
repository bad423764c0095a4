"""Parameters of a request, read into the struct its endpoint takes: the one place that checks them.

A field of the struct is a parameter: its type says what is taken (:mod:`lanying.gateway.http.kinds`), and it has to be there unless it has
a default. Documents and clients disagree about query and body, so each is taken from both; the body wins (xsync 2.1). A JSON null is not
given, nor is an empty text where no text is wanted. Everything else ends in code 10002 with the parameter's name and what it has to be.
The contract test holds the structs to ``contract.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from lanying.base import jsons
from lanying.base.errors import CallError
from lanying.base.refusals import Refusal
from lanying.gateway.http.kinds import ReadByOthers, ValueKind, kind_of

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
Values = Mapping[str, Any]
"""Parameters by name, as they came."""
_NONE: Final[Values] = {}


class Also(NamedTuple):
    """In a field's annotation: a second name for it, taken when there is nothing under the first."""

    name: str


class Field(NamedTuple):
    """A parameter. ``name``: of the parameter; ``also``: a second one, empty for none; ``attribute``: of the struct.

    ``shown``: whether others read it
    """

    name: str
    attribute: str
    also: str
    kind: ValueKind
    required: bool
    shown: ReadByOthers | None


def parse(query: bytes, body: bytes) -> Values:
    """Parameters by name; a body that is a bare list counts as ``list``, a bare text as ``value``.

    :raises CallError: 10002, the body is something else
    """
    text = query.decode("utf-8", "replace")
    try:
        values: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise CallError(Refusal.INVALID_PARAMETER, "a query has at most 100 parameters") from error
    if body.strip():
        try:
            found = jsons.read(body)
        except ValueError as error:
            raise CallError(Refusal.INVALID_PARAMETER, f"the body is not valid JSON: {error}") from error
        if isinstance(found, dict):
            values.update(found)
        elif isinstance(found, list):
            values["list"] = found
        elif isinstance(found, str):
            values["value"] = found
        elif found is not None:
            raise CallError(Refusal.INVALID_PARAMETER, "the body has to be a JSON object; send {} for no parameters")
    return values


def read(kind: type[S], values: Values, stand_ins: Values = _NONE, inside: str = "") -> S:
    """The struct of these values.

    :param stand_ins: what counts where nothing is given, by name
    :param inside: what the values are members of, for errors
    :raises CallError: 10002
    """
    found: dict[str, object] = {}
    for field in fields(kind):
        value = _given(values, field)
        if value is None:
            value = stand_ins.get(field.name)
        name = f"{inside}.{field.name}" if inside else field.name
        if value is None or (value == "" and not field.kind.empty):
            if field.required:
                raise CallError(Refusal.INVALID_PARAMETER, f"{name} is missing; it is {field.kind.what}")
            continue
        try:
            found[field.attribute] = field.kind.read(value)
        except ValueError as error:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is {field.kind.what}") from error
    return kind(**found)


def peek(values: Values, name: str, hint: Any, default: T) -> T:
    """One value for an answer about these values, whether or not they are good."""
    try:
        return kind_of(hint).read(values.get(name))  # type: ignore[return-value]
    except ValueError:
        return default


@cache
def fields(kind: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The parameters of a struct, in order. :raises TypeError: a field is of no type that parameters have"""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(it, hints[it.name]) for it in msgspec.structs.fields(kind))


def _field(it: msgspec.structs.FieldInfo, hint: Any) -> Field:
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    also = next((mark.name for mark in marks if isinstance(mark, Also)), "")
    shown = next((mark for mark in marks if isinstance(mark, ReadByOthers)), None)
    return Field(it.encode_name, it.name, also, kind_of(hint), it.required, shown)


def _given(values: Values, field: Field) -> Any:
    value = values.get(field.name)
    return values.get(field.also) if value is None and field.also else value
