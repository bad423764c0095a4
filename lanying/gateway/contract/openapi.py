"""The gateway describes itself: ``/openapi.json`` from the contract, and a page that shows it without anybody's CDN."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any, Final

import msgspec

from lanying import __version__
from lanying.base.refusals import Refusal
from lanying.gateway.contract.contract import CONTRACT, ContractCall, Schema
from lanying.gateway.http.endpoint import GET, Endpoint, Raw, RequestContext

_SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {
    "none": [],
    "user": [{"token": []}],
    "admin": [{"token": []}],
    "user-or-admin": [{"token": []}],
}
_ENVELOPE: Final = {"code": {"type": "integer"}, "message": {"type": ["string", "null"]}}
_WITHOUT_ENVELOPE: Final = {"/": "text/html", "/app/captcha/image": "image/png"}
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}"
    "code{font-family:ui-monospace,monospace}summary{cursor:pointer;padding:.2rem 0}td,th{text-align:left;padding:.1rem 1rem .1rem 0;"
    "vertical-align:top}b{font-weight:600}.m{display:inline-block;min-width:8rem;color:#06c}h2{margin-top:2rem}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.m{color:#6af}}"
)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CONTRACT.calls:
        for method in call.methods:
            paths.setdefault(call.path, {})[method.lower()] = _operation(call, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "lanying", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": CONTRACT.schemas,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "access-token"}},
        },
    }


async def description(context: RequestContext) -> object:
    """The description as JSON."""
    return Raw(msgspec.json.encode(document()), "application/json")


async def page(context: RequestContext) -> object:
    """The description for people."""
    return Raw(_page(), "text/html; charset=utf-8")


def _operation(call: ContractCall, method: str) -> dict[str, Any]:
    required = set(call.required)
    header = {"name": "app_id", "in": "header", "required": False, "schema": {"type": "string"}}
    # Parameters may travel in either place; a call without a body is described by its query.
    described = call.parameters if method == "GET" else call.query
    parameters = [
        header,
        *(
            {"name": name, "in": "query", "required": name in required, "schema": shape}
            for name, shape in described.items()
        ),
    ]
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}{call.path.replace('/', '_')}",
        "tags": [call.area],
        "security": _SECURITY[call.auth],
        "parameters": parameters,
        "responses": {"200": _response(call, method)},
    }
    body = _body(call, required) if method != "GET" else None
    if body is not None:
        found["requestBody"] = {
            "required": bool(required & call.body.keys()),
            "content": {"application/json": {"schema": body}},
        }
    return found


def _body(call: ContractCall, required: set[str]) -> Schema | None:
    if call.element is not None:
        return {"type": "array", "items": call.element}
    if call.text:
        return {"type": "string"}
    if not call.body:
        return None
    shape: Schema = {"type": "object", "properties": call.body}
    inner = sorted(required & call.body.keys())
    return shape | ({"required": inner} if inner else {})


def _response(call: ContractCall, method: str) -> dict[str, Any]:
    text = "code 200 and data, or the code and message of a refusal"
    media = _WITHOUT_ENVELOPE.get(call.path) if method == "GET" else None
    if media is not None or call.path.startswith("/file/download/"):
        return {"description": text, "content": {media or "*/*": {}}}
    shape = {
        "type": "object",
        "properties": {"data": {"anyOf": [call.data, {"type": "null"}]}, **_ENVELOPE, **call.extra},
        "required": ["code", "data", "message"],
    }
    return {"description": text, "content": {"application/json": {"schema": shape}}}


@cache
def _page() -> bytes:
    areas: dict[str, list[ContractCall]] = {}
    for call in CONTRACT.calls:
        areas.setdefault(call.area, []).append(call)
    sections = "".join(
        f"<h2>{escape(area)}</h2>{''.join(map(_entry, sorted(calls, key=lambda it: it.path)))}"
        for area, calls in sorted(areas.items())
    )
    known = sorted({refusal.code for refusal in Refusal})
    codes = "".join(f"<tr><td>{code}<td>{escape(Refusal.of_code(code).message)}" for code in known)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>lanying REST API</title><style>{_STYLE}</style><h1>lanying {escape(__version__)} REST API</h1>"
        "<p>Parameters are taken from the query and from a JSON body. Answers: <code>{code, data, message}</code>. "
        "Machine form: <a href=/openapi.json>/openapi.json</a></p>"
        f"{sections}<h2>codes</h2><table>{codes}</table></html>\n"
    ).encode()


def _entry(call: ContractCall) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' <b>required</b>' if name in call.required else ''}<td>{escape(_kind(shape))}"
        for name, shape in call.parameters.items()
    )
    answer = escape(msgspec.json.encode(call.data).decode())
    return (
        f"<details><summary><span class=m>{escape(' '.join(call.methods))}</span><code>{escape(call.path)}</code> "
        f"({escape(call.auth)})</summary><table>{rows}</table><p>data: <code>{answer}</code></p></details>"
    )


def _kind(shape: Schema) -> str:
    reference = str(shape.get("$ref", "")).rpartition("/")[2]
    inner = f" of {_kind(shape['items'])}" if "items" in shape else ""
    limits = "".join(f", {name} {shape[name]}" for name in ("enum", "minimum", "maximum", "default") if name in shape)
    return f"{reference or shape.get('type', 'anything')}{inner}{limits}"


ENDPOINTS: Final = (
    Endpoint(GET, "/openapi.json", description, token=False, app=False),
    Endpoint(GET, "/docs", page, token=False, app=False),
)
