from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from lanying.base import limits
from lanying.base.ids import MAX_ENTITY_ID
from lanying.gateway.http.kinds import AnyDevice, DeviceSn, EntityId, Handle, Name, OrSwitch, Positive, kind_of

Tags = Annotated[list[Annotated[str, Meta(max_length=3)]], Meta(max_length=2)]
Approval = Annotated[int, Meta(ge=0, le=2), OrSwitch()]
TAKEN: list[tuple[Any, Any, Any]] = [
    *((int, value, 5) for value in (5, "5", 5.0, " 5 ")),
    (int, 0, 0),
    (Annotated[int, Meta(ge=-1, le=9)], -1, -1),
    (EntityId, MAX_ENTITY_ID, MAX_ENTITY_ID),
    (AnyDevice, 0, 0),
    (int | None, "7", 7),
    (Approval, False, 0),
    (Approval, "true", 1),
    (Approval, "2", 2),
    (float, "1.5", 1.5),
    (float, 2, 2.0),
    *((bool, value, True) for value in (True, 1, "1", "true", "True")),
    *((bool, value, False) for value in (False, 0, "0", "false")),
    (str, "", ""),
    (str, 5, "5"),
    (Name, " a ", " a "),
    (Handle, "\u3000a b\n", "a b"),
    (Handle | None, " ", ""),
    (Literal[1, 2], "2", 2),
    (Literal["a", "b"], "b", "b"),
    *((list[EntityId], value, [1, 2]) for value in ([1, "2", 1], "1,2", ["1", 2.0], [0, 1, 2, -1, 1 << 60])),
    (list[EntityId], 1, [1]),
    (list[EntityId], "", []),
    (list[int], [0, -5], [0, -5]),
    (Tags, "a,b", ["a", "b"]),
    (Tags, ["abc", "abc"], ["abc"]),
    (list[dict[str, Any]], [{}], [{}]),
    (dict[str, Any], {"a": 1}, {"a": 1}),
    (object, [1], [1]),
]
REFUSED: list[tuple[Any, Any]] = [
    *((int, value) for value in (True, "x", "5x", 5.5, [], {}, -1, "-1", 1e300, "9" * 30, "\u0663", 1 << 60)),
    (EntityId, 0),
    (EntityId, MAX_ENTITY_ID + 1),
    (Positive, 0),
    (DeviceSn, 1 << 31),
    (Approval, 3),
    (Approval, "maybe"),
    *((float, value) for value in ("x", True, [], "inf", "nan", float("inf"), 10**400)),
    *((bool, value) for value in (2, "yes", [], 1.0)),
    *((str, value) for value in ([], {}, True, "x" * (limits.TEXT_FIELD_CHARS + 1))),
    (Handle, "x" * (limits.NAME_FIELD_CHARS + 1)),
    (Name, "x" * (limits.NAME_FIELD_CHARS + 1)),
    *((Literal[1, 2], value) for value in (3, "x", [], {})),
    *((Literal["a"], value) for value in ("b", 1, [], {})),
    *((list[EntityId], value) for value in ("a", [[]], {}, ["1", None], [1] * (limits.REST_IDS + 1))),
    *((Tags, value) for value in (["a", "b", "c"], ["long"], [""], [1], {})),
    *((list[dict[str, Any]], value) for value in ([1], {}, "x", [{}] * (limits.REST_ROWS + 1))),
    *((dict[str, Any], value) for value in ([], "x", 1)),
]
HINTS = [hint for hint, _, _ in TAKEN]


@pytest.mark.parametrize(("hint", "value", "found"), TAKEN)
def test_what_is_taken(hint: Any, value: Any, found: Any) -> None:
    kind = kind_of(hint)
    assert kind.read(value) == found
    assert type(kind.read(value)) is type(found)


@pytest.mark.parametrize(("hint", "value"), REFUSED)
def test_what_is_refused(hint: Any, value: Any) -> None:
    with pytest.raises(ValueError):
        kind_of(hint).read(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(hint=st.sampled_from(HINTS), value=JSON)
def test_any_value_is_taken_or_refused(hint: Any, value: Any) -> None:
    try:
        found = kind_of(hint).read(value)
    except ValueError:
        return
    assert found is not None or hint is object


@pytest.mark.parametrize("hint", HINTS)
def test_every_kind_says_what_it_is(hint: Any) -> None:
    assert kind_of(hint).what


@pytest.mark.parametrize("hint", [set, bytes, tuple[int, int], set[int]])
def test_a_type_no_parameter_has(hint: Any) -> None:
    with pytest.raises(TypeError, match="there is no parameter of type"):
        kind_of(hint)
