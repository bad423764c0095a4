"""Parameters of a request, from its query or its JSON body: documents and clients disagree, so each is taken from both.

The body wins. Ids may be numbers or decimal texts, switches true/false or 1/0 (xsync 2.1). Whatever else comes ends in
code 10002 with the name of the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from lanying.base import jsons, limits
from lanying.base.errors import CallError
from lanying.base.ids import MAX_ENTITY_ID
from lanying.base.refusals import Refusal

_DECIMAL: Final = re.compile(r"-?[0-9]{1,19}")
_SWITCH: Final[dict[object, bool]] = {"true": True, "1": True, "false": False, "0": False}


def parse(query: bytes, body: bytes) -> Params:
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
    return Params(values)


class Params:
    """Typed access to parameters; a JSON null counts as not given."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, default: str | None = None, *, most: int = limits.TEXT_FIELD_CHARS) -> str:
        """A text; numbers are taken as their digits. :raises CallError: 10002"""
        value = self._values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            if default is None:
                raise _missing(name)
            return default
        if not isinstance(value, str) or len(value) > most:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a text of at most {most} characters")
        return value

    def number(self, name: str, default: int | None = None, *, least: int = 0, most: int = limits.MAX_JSON_INT) -> int:
        """A whole number from ``least`` to ``most``; an empty text counts as not given. :raises CallError: 10002"""
        value = self._values.get(name)
        if value is None or value == "":
            if default is None:
                raise _missing(name)
            return default
        number = _number(value)
        if number is None or not least <= number <= most:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a whole number from {least} to {most}")
        return number

    def entity(self, name: str) -> int:
        """A user or group id. :raises CallError: 10002"""
        return self.number(name, least=1, most=MAX_ENTITY_ID)

    def switch(self, name: str, default: bool | None = None) -> bool:
        """True or false. :raises CallError: 10002"""
        value = self._values.get(name)
        if value is None or value == "":
            if default is None:
                raise _missing(name)
            return default
        found = _SWITCH.get(str(value).lower()) if isinstance(value, bool | int | str) else None
        if found is None:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is true or false")
        return found

    def some_entities(self, name: str) -> list[int]:
        """As :meth:`entities`, and the list has to be there. :raises CallError: 10002"""
        if name not in self:
            raise _missing(name)
        return [entity for entity in self.entities(name) if 0 < entity <= MAX_ENTITY_ID]

    def entities(self, name: str) -> list[int]:
        """A list of ids without repetitions, in order; a single id and ids parted by commas count as lists.

        :raises CallError: 10002
        """
        value = self._values.get(name, [])
        items = value.split(",") if isinstance(value, str) and value else value or []
        if isinstance(items, int):
            items = [items]
        if not isinstance(items, list) or len(items) > limits.REST_IDS:
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a list of at most {limits.REST_IDS} ids")
        found: dict[int, None] = {}
        for item in items:
            number = _number(item)
            if number is None:
                raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a list of ids")
            found[number] = None
        return list(found)

    def texts(self, name: str, *, most: int, chars: int) -> list[str]:
        """A list of texts without repetitions; a text with commas counts as a list. :raises CallError: 10002"""
        value = self._values.get(name)
        if value is None:
            raise _missing(name)
        items = value.split(",") if isinstance(value, str) else value
        if (
            not isinstance(items, list)
            or len(items) > most
            or not all(isinstance(item, str) and 0 < len(item) <= chars for item in items)
        ):
            raise CallError(
                Refusal.INVALID_PARAMETER, f"{name} is a list of at most {most} texts of 1 to {chars} characters"
            )
        return list(dict.fromkeys(items))

    def is_text(self, name: str) -> bool:
        """Is there a text under this name?"""
        return isinstance(self._values.get(name), str)

    def items(self, name: str) -> list[Any]:
        """A list of anything. :raises CallError: 10002"""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a list")
        return value

    def mapping(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        """An object. :raises CallError: 10002"""
        value = self._values.get(name)
        if value is None:
            if default is None:
                raise _missing(name)
            return default
        if not isinstance(value, dict):
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is an object")
        return value

    def rows(self, name: str = "list", most: int = limits.REST_ROWS) -> list[Params]:
        """A list of objects. :raises CallError: 10002"""
        value = self._values.get(name)
        if value is None:
            raise _missing(name)
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
            raise CallError(Refusal.INVALID_PARAMETER, f"{name} is a list of at most {most} objects")
        return [Params(item) for item in value]


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


def _missing(name: str) -> CallError:
    return CallError(Refusal.INVALID_PARAMETER, f"{name} is missing")
