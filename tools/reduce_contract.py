#!/usr/bin/env python3
"""Reduces the published description of the REST API to facts: ``lanying/gateway/contract/contract.json``.

    tools/reduce_contract.py rest-api.json > lanying/gateway/contract/contract.json

Kept: methods, path, who may call, parameters with types, limits and whether they are required, the shape of the answer.
Left out: every sentence. ``PUT`` and ``DELETE`` twins join their ``POST``. Named shapes are written once, under
``schemas``. Where this server asks for less than was published, :data:`ASKED_LESS` says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ASKED_LESS = {
    "GET /app/config": {"platform"},
    "GET /v2/app_dns": {"app_id", "source"},
    "POST /user/settings": {"user_id"},
    "GET /app/captcha/image": {"app_id"},
}
"""Parameters called required that clients leave out, come as a header too, or mean nothing here."""
ASKED_MORE = {"POST /app/secret_info": "user"}
"""Who may call, where this server wants to know: what is kept for anybody fills up."""
LIMITS = ("enum", "minimum", "maximum", "default", "pattern")


class Reducer:
    """Collects named shapes on the way."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def call(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """One entry."""
        found: dict[str, Any] = {"path": endpoint["path"], "methods": [endpoint["method"]], "area": endpoint["area"]}
        found["auth"] = ASKED_MORE.get(f"{endpoint['method']} {endpoint['path']}", endpoint["auth"])
        less = ASKED_LESS.get(f"{endpoint['method']} {endpoint['path']}", set())
        if endpoint["query"]:
            found["query"] = {q["name"]: self.shape(q) for q in endpoint["query"]}
        body = endpoint["body"] or {}
        if body.get("fields"):
            found["body"] = {f["name"]: self.shape(f) for f in body["fields"]}
        elif body.get("type") == "array":
            found["element"] = self.shape(body["items"])
        elif body.get("type") == "string":
            found["text"] = True
        parameters = [*endpoint["query"], *body.get("fields", ())]
        required = sorted({p["name"] for p in parameters if p.get("required")} - less)
        if required:
            found["required"] = required
        found["data"] = self.shape(endpoint["response"]["data"] or {})
        extra = endpoint["response"].get("envelope_extra")
        if extra:
            found["extra"] = {f["name"]: self.shape(f) for f in extra}
        return found

    def shape(self, given: dict[str, Any]) -> dict[str, Any]:
        """A JSON schema."""
        kind = given.get("type", "unknown")
        found: dict[str, Any] = {} if kind == "unknown" else {"type": kind.split("|") if "|" in kind else kind}
        found |= {name: given[name] for name in LIMITS if name in given}
        if given.get("format") in ("int64", "double"):
            found["format"] = given["format"]
        if "items" in given:
            found["items"] = self.shape(given["items"])
        if not given.get("fields"):
            return found
        found["properties"] = {f["name"]: self.shape(f) for f in given["fields"]}
        required = [f["name"] for f in given["fields"] if f.get("required")]
        if required:
            found["required"] = required
        name = given.get("schema")
        if name is None or self.schemas.setdefault(name, found) != found:
            return found
        return {"$ref": f"#/components/schemas/{name}"}


def main() -> None:
    """Read the description, write the contract."""
    reducer = Reducer()
    calls: dict[str, dict[str, Any]] = {}
    for endpoint in json.loads(Path(sys.argv[1]).read_text())["endpoints"]:
        twin = calls.get(endpoint.get("same_as", ""))
        if twin is not None:
            twin["methods"].append(endpoint["method"])
        else:
            calls[endpoint["id"]] = reducer.call(endpoint)
    lines = ",\n".join(json.dumps(call, ensure_ascii=False) for call in calls.values())
    shapes = ",\n".join(f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in sorted(reducer.schemas.items()))
    print(f'{{"calls": [\n{lines}\n],\n"schemas": {{\n{shapes}\n}}}}')


if __name__ == "__main__":
    main()
