"""The REST API as data: what ``contract.json`` says about every call (made by ``tools/reduce_contract.py``).

The contract test holds the gateway to it and ``openapi`` publishes it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final, Literal

import msgspec

Schema = dict[str, Any]
"""A JSON schema."""


class ContractCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A path and its methods, which are exact twins.

    :ivar query: parameters by name that were published as query parameters, ``body`` as members of a JSON object;
        this server takes all of them from both places
    :ivar element: shape of an element when the body is a bare list
    :ivar text: the body is a bare text
    :ivar data: shape of ``data`` in the answer, ``extra`` of members beside it
    """

    path: str
    methods: list[str]
    area: str
    auth: Literal["none", "user", "admin", "user-or-admin"]
    data: Schema
    query: dict[str, Schema] = {}
    body: dict[str, Schema] = {}
    element: Schema | None = None
    text: bool = False
    required: list[str] = []
    extra: dict[str, Schema] = {}

    @property
    def parameters(self) -> dict[str, Schema]:
        """All parameters by name."""
        return self.query | self.body


class Contract(msgspec.Struct, frozen=True):
    """All calls, and the shapes they refer to by ``#/components/schemas/NAME``."""

    calls: list[ContractCall]
    schemas: dict[str, Schema]


CONTRACT: Final = msgspec.json.decode(
    files("lanying.gateway.contract").joinpath("contract.json").read_bytes(), type=Contract
)
