"""The pages: what is sent, how much of it, and what a browser is told about it."""

from __future__ import annotations

import gzip
import re

import pytest

from lanying.base.tokens import ROLE_ADMIN, Identity, issue
from lanying.config.schema import Discovery
from lanying.gateway.http.pages import FOREVER, Site
from tests.gateway.conftest import APPS, Gateway, SimulatedShards

FIRST_LOAD_BYTES = 150_000
LOADED_LATER = ("vendor/qrcode.js", "admin/", "style/admin.css")


def links(page: str) -> list[str]:
    """Addresses a page names; they are relative, so that pages work below a path."""
    found = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(link.startswith("web/") for link in found)
    return [f"/{link}" for link in found]


@pytest.mark.parametrize("path", ["/", "/admin"])
def test_a_page_and_all_it_names(gateway: Gateway, path: str) -> None:
    page = gateway.send("GET", path)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-cache"
    assert '<meta name="app-id" content="app">' in page.text
    assert len(links(page.text)) >= 4
    for link in links(page.text):
        found = gateway.send("GET", link)
        assert found.status_code == 200, link
        assert found.headers["cache-control"] == FOREVER
        assert found.headers["x-content-type-options"] == "nosniff"


def test_a_slash_behind_the_admin_page_leads_back_to_it(gateway: Gateway) -> None:
    found = gateway.send("GET", "/admin/")
    assert (found.status_code, found.headers["location"]) == (307, "../admin")


def test_every_import_of_a_module_is_served() -> None:
    assets = Site("app").assets
    for name, asset in assets.items():
        for target in re.findall(
            r"(?:from|import\()\s*'(\.[^']+)'", asset.content.decode() if name.endswith(".js") else ""
        ):
            parts = name.split("/")[:-1]
            for piece in target.split("/"):
                if piece == "..":
                    parts.pop()
                elif piece != ".":
                    parts.append(piece)
            assert "/".join(parts) in assets, f"{name} imports {target}"


def test_the_first_load_is_small() -> None:
    site = Site("app")
    sizes = {name: len(asset.packed) for name, asset in site.assets.items() if not name.startswith(LOADED_LATER)}
    assert sum(sizes.values()) + len(site.pages["/"].packed) < FIRST_LOAD_BYTES, sizes


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(gateway: Gateway) -> None:
    for path in ("/", "/admin"):
        page = gateway.send("GET", path)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert page.headers["x-frame-options"] == "DENY" and page.headers["cross-origin-opener-policy"] == "same-origin"
        assert "ws://im.test:8480" in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|https?://", page.text)


def test_servers_of_the_configuration_may_be_called(make) -> None:  # type: ignore[no-untyped-def]
    gateway = make(discovery=Discovery(rest_url="https://a.example/x/", message_url="wss://b.example:8"))
    policy = gateway.send("GET", "/").headers["content-security-policy"]
    assert "https://a.example wss://a.example https://b.example:8 wss://b.example:8" in policy


def test_a_host_that_is_none_does_not_get_into_the_policy(gateway: Gateway) -> None:
    policy = gateway.send("GET", "/", headers={"host": "x; script-src *"}).headers["content-security-policy"]
    assert "*" not in policy


def test_compression_and_revalidation(gateway: Gateway) -> None:
    link = links(gateway.send("GET", "/").text)[0]
    plain = gateway.send("GET", link, headers={"accept-encoding": "identity"})
    packed = gateway.send("GET", link, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content != gzip.compress(plain.content)
    again = gateway.send("GET", link, headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_only_listed_files_are_found(gateway: Gateway) -> None:
    release = links(gateway.send("GET", "/").text)[0].split("/")[2]
    for name in ("../../../etc/passwd", "%2e%2e/__init__.py", "__init__.py", "index.html", "vendor/LICENSE-htm", ""):
        assert gateway.send("GET", f"/web/{release}/{name}").status_code in (404, 405), name
    old = gateway.send("GET", "/web/000000000000/app/main.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")


def test_the_admin_page_is_for_admin_tokens(gateway: Gateway) -> None:
    _, token = gateway.register("alice")
    for path in ("/admin/api/status", "/admin/api/groups"):
        assert gateway.code("GET", path) == 10003
        assert gateway.code("GET", path, token) == 10010
    assert gateway.code("GET", "/admin/api/status", gateway.admin()) == 503  # no supervisor here


def test_backups_are_for_the_admin_of_the_first_app(gateway: Gateway) -> None:
    other = issue(APPS[1].secret, Identity("other", 0, ROLE_ADMIN, 0))
    for method in ("GET", "POST"):
        assert gateway.code(method, "/admin/api/backups") == 10003
        assert gateway.code(method, "/admin/api/backups", other, app="other") == 10010
        assert gateway.code(method, "/admin/api/backups", gateway.admin()) == 503  # no admin process here


def test_groups_of_the_app_by_pages(gateway: Gateway) -> None:
    shards = SimulatedShards(gateway.services.config)
    gateway.shards = gateway.services.shards = shards
    uid, token = gateway.register("alice")
    made = {gateway.data("POST", "/group/create", token, json={"name": f"g{n}"})["group_id"] for n in range(5)}
    found: list[int] = []
    cursor = ""
    for _ in range(10):
        page = gateway.call("GET", f"/admin/api/groups?page_size=2&cursor={cursor}", gateway.admin())
        found += [row["group_id"] for row in page["data"]]
        assert {row["owner_id"] for row in page["data"]} <= {uid}
        cursor = page.get("cursor", "")
        if not cursor:
            break
    assert sorted(found) == sorted(made)
