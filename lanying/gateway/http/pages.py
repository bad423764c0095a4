"""The web client at ``/`` and the admin page at ``/admin``: files of :mod:`lanying.web`, read once, sent compressed.

Everything a page loads lies under ``/web/<release>/``, where the release is a digest of all files: browsers keep those files
for good, and an upgrade is one new page. Nothing is found by path on the disk, so nothing beside the listed files can be asked for.
Addresses in pages are relative: they are good below a path of a proxy, too.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lanying.gateway.http.packing import takes_gzip
from lanying.gateway.http.trust import elsewhere
from lanying.gateway.services.services import Services

TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}
"""What is served, by suffix."""
PAGES: Final = {"/": "index.html", "/admin": "admin.html"}
FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, plain and compressed."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> Asset:
        """``name`` gives the type."""
        digest = hashlib.sha256(content).hexdigest()[:20]
        return cls(content, gzip.compress(content, 9, mtime=0), TYPES[name.rpartition(".")[2]], f'"{digest}"')


class Site:
    """All pages and what they load.

    :param app_id: the app people register in, written into the pages
    :ivar release: digest of everything
    """

    def __init__(self, app_id: str, extra_hosts: tuple[str, ...] = ()) -> None:
        sources = dict(sorted(_walk(files("lanying.web"), "")))
        digest = hashlib.sha256(b"".join(name.encode() + b"\0" + content for name, content in sources.items()))
        self.release = digest.hexdigest()[:12]
        self._hosts = extra_hosts
        self.assets = {name: Asset.of(name, content) for name, content in sources.items() if not name.endswith(".html")}
        self.pages = {
            path: Asset.of(name, self._page(sources[name].decode(), app_id).encode()) for path, name in PAGES.items()
        }

    def _page(self, source: str, app_id: str) -> str:
        # Modules name each other level by level; named here, a browser asks for all of them at once.
        modules = (name for name in self.assets if name.startswith(("app/", "sdk/")) and name.endswith(".js"))
        preload = "".join(f'<link rel="modulepreload" href="web/{self.release}/{name}">\n' for name in modules)
        return (
            source.replace("{preload}", preload).replace("{release}", self.release).replace("{app_id}", escape(app_id))
        )

    def policy(self, host: str) -> str:
        """The Content-Security-Policy of a page that came from ``host``: nothing inline, nothing from elsewhere."""
        own = [f"{scheme}://{host}" for scheme in ("ws", "wss")]
        other = " ".join((*own, *self._hosts))
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {other}; img-src 'self' blob: data: "
            f"{' '.join(self._hosts)}; media-src 'self' blob: {' '.join(self._hosts)}; manifest-src 'self'; font-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
        )

    def page(self, request: Request) -> Response:
        """``/`` and ``/admin``."""
        response = _reply(request, self.pages[request.scope["path"]], "no-cache")
        response.headers["content-security-policy"] = self.policy(request.headers.get("host", ""))
        response.headers["x-frame-options"] = "DENY"  # what frame-ancestors says, for browsers from before it
        response.headers["cross-origin-opener-policy"] = "same-origin"
        response.headers["referrer-policy"] = "no-referrer"
        response.headers["permissions-policy"] = "camera=(self), microphone=(self), geolocation=()"
        return response

    def asset(self, request: Request) -> Response:
        """``/web/<release>/…``; a page of an earlier release gets the present files, but does not keep them."""
        asset = self.assets.get(request.path_params["name"])
        if asset is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        current = request.path_params["release"] == self.release
        response = _reply(request, asset, FOREVER if current else "no-cache")
        response.headers["cross-origin-resource-policy"] = "same-origin"
        return response


def add_to(app: Starlette, services: Services) -> None:
    """Serve the pages from ``app``."""
    discovery = services.config.discovery
    urls = (discovery.rest_url, discovery.message_url)
    site = Site(next(iter(services.apps), ""), tuple(origin for url in urls if url for origin in _origins(url)))

    async def page(request: Request) -> Response:
        return elsewhere(services.config, request) or site.page(request)

    async def asset(request: Request) -> Response:
        return site.asset(request)

    async def without_slash(request: Request) -> Response:
        return RedirectResponse("../admin")

    for path in PAGES:
        app.add_route(path, page, methods=["GET", "HEAD"])
    app.add_route("/admin/", without_slash, methods=["GET", "HEAD"])
    app.add_route("/web/{release}/{name:path}", asset, methods=["GET", "HEAD"])


def _reply(request: Request, asset: Asset, cache: str) -> Response:
    headers = {
        "etag": asset.etag,
        "cache-control": cache,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if takes_gzip(request):
        return Response(asset.packed, headers={**headers, "content-encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in TYPES:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _origins(url: str) -> tuple[str, str]:
    """A configured server as http(s) and as ws(s)."""
    host = urlsplit(url if "://" in url else f"//{url}").netloc
    secure = url.startswith(("https:", "wss:"))
    return f"{'https' if secure else 'http'}://{host}", f"{'wss' if secure else 'ws'}://{host}"
