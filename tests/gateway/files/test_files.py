"""Files as clients use them: ticket, upload, download, forward; and what must not come in, stay or be shown."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from PIL import Image

from lanying.base import limits
from lanying.base.errors import CallError
from lanying.base.tokens import ROLE_FILES, Identity, issue
from lanying.bus.messages import RemoveFiles
from lanying.config import schema
from lanying.gateway.files import file_signs
from lanying.gateway.files.file_signs import Sign
from lanying.gateway.files.receiving import receive
from lanying.gateway.services.conversions import Conversions
from lanying.gateway.services.uploads import Incoming
from tests.gateway.conftest import APPS, Gateway

HTML = b"<!doctype html><script>alert(1)</script>" + b" " * 600


def picture(size: tuple[int, int] = (800, 600), kind: str = "JPEG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red").save(out, kind)
    return out.getvalue()


class Person:
    """Somebody with a token."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway = gateway
        self.uid, self.token = gateway.register(name)

    def ticket(self, file_type: int = 102, **more: Any) -> dict[str, Any]:
        params = {"file_type": file_type, "to_id": 1024, "to_type": 1, **more}
        found: dict[str, Any] = self.gateway.data("GET", "/file/upload/chat", self.token, params=params)
        return found

    def upload(self, content: bytes, name: str = "photo.jpg", file_type: int = 100) -> str:
        ticket = self.ticket(file_type)
        assert put(self.gateway, ticket["upload_url"], content, name) == {"code": 200, "data": True, "message": None}
        return str(ticket["download_url"])

    def get(self, url: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        """As an ``<img>`` does: no headers, everything in the query behind what is there."""
        found = "".join(
            f"&{name}={value}" for name, value in {"access-token": self.token, "app_id": "app", **query}.items()
        )
        return self.gateway.send(method, url + found, headers=headers or {})


def put(gateway: Gateway, url: str, content: bytes, name: str = "photo.jpg", **fields: str) -> dict[str, Any]:
    response = gateway.send("POST", url, files={"file": (name, content)}, data=fields)
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture
def alice(gateway: Gateway) -> Person:
    return Person(gateway, "alice")


def stored(gateway: Gateway) -> list[Path]:
    return [path for path in (gateway.data_directory / "files").rglob("*") if path.is_file()]


def test_a_picture_from_ticket_to_forward(gateway: Gateway, alice: Person) -> None:
    bob = Person(gateway, "bob")
    ticket = alice.ticket()
    assert ticket["oss_body_param"] == {}
    assert ticket["upload_method"] == "POST"
    assert ticket["download_url"].startswith("http://im.test:8480/file/download/chat?file_sign=")
    content = picture()
    # Demo pages post fields that are text `undefined`, without app id and token (xsync 2.7).
    found = put(gateway, ticket["upload_url"], content, OSSAccessKeyId="undefined", policy="x" * 5000, key="undefined")
    assert found == {"code": 200, "data": True, "message": None}

    answer = bob.get(ticket["download_url"])
    assert answer.content == content
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert 'filename="photo.jpg"' in answer.headers["content-disposition"]
    assert answer.headers["access-control-allow-origin"] == "*"

    sign = ticket["download_url"].partition("sign=")[2] + f"&access-token={alice.token}"
    params = {"file_sign": sign, "to_id": bob.uid, "to_type": 1, "access-token": bob.token, "app_id": "app"}
    forwarded = gateway.data("GET", "/file/upload/forward", bob.token, params=params)
    assert forwarded != ticket["download_url"]
    assert alice.get(forwarded).content == content
    assert len(stored(gateway)) == 1


def test_parts_and_conditions(gateway: Gateway, alice: Person) -> None:
    content = random.Random(1).randbytes(700_000)
    url = alice.upload(content, "a.bin")
    whole = alice.get(url)
    assert (whole.status_code, whole.content) == (200, content)
    etag = whole.headers["etag"]
    for span, want in {
        "bytes=0-0": content[:1],
        "bytes=5-9": content[5:10],
        "bytes=699990-": content[-10:],
        "bytes=-3": content[-3:],
        "bytes=10-9999999": content[10:],
    }.items():
        answer = alice.get(url, headers={"range": span})
        assert (answer.status_code, answer.content) == (206, want), span
        assert answer.headers["content-range"].endswith("/700000")
        assert int(answer.headers["content-length"]) == len(want)
    assert alice.get(url, headers={"range": "bytes=700000-"}).status_code == 416
    assert alice.get(url, headers={"range": "bytes=1-2,5-6"}).content == content
    assert alice.get(url, headers={"range": "bytes=0-1", "if-range": '"other"'}).content == content
    assert alice.get(url, headers={"if-none-match": etag}).status_code == 304
    head = alice.get(url, "HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", "700000")


@pytest.mark.parametrize(
    ("content", "name"),
    [(HTML, "a.html"), (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.svg"), (b"plain text", "a.png")],
)
def test_what_a_browser_could_run_is_only_ever_a_download(
    gateway: Gateway, alice: Person, content: bytes, name: str
) -> None:
    answer = alice.get(alice.upload(content, name))
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a\r\nset-cookie: x", '日本 "x".jpg', ""]
)
def test_names_of_clients_never_become_paths_or_headers(gateway: Gateway, alice: Person, name: str) -> None:
    answer = alice.get(alice.upload(picture(), name))
    shown = answer.headers["content-disposition"]
    assert answer.status_code == 200
    assert "/" not in shown and "\\" not in shown and "\n" not in shown
    for path in stored(gateway):
        assert path.relative_to(gateway.data_directory / "files/objects").parts[0].isalnum()


@pytest.mark.parametrize(
    ("written", "given"),
    [
        (b'filename="quo%22te\'s.txt"', "quo\"te's.txt"),
        (b'filename="quo\\"te.txt"', 'quo"te.txt'),
        (b'filename="100% of %41.txt"', "100% of %41.txt"),
        ('filename="\u00fcber;\u65e5.txt"'.encode(), "\u00fcber;\u65e5.txt"),
        (b"filename=plain.txt", "plain.txt"),
        (b"filename=\"x.txt\"; filename*=UTF-8''na%C3%AFve%20%22x.txt", 'na\u00efve "x.txt'),
        (b"filename*=utf-8'en'%e2%82%ac.txt", "\u20ac.txt"),
        (b"filename*=iso-8859-1''%E9.txt; filename=e.txt", "\u00e9.txt"),
        (b"filename=\"good.txt\"; filename*=UTF-8''%FF.txt", "good.txt"),
        (b'filename="a%0D%0Ab.txt"', "ab.txt"),
        (b"filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
    ],
)
def test_a_download_has_the_name_the_person_gave(gateway: Gateway, alice: Person, written: bytes, given: str) -> None:
    ticket = alice.ticket(100)
    head = b'--b\r\ncontent-disposition: form-data; name="file"; ' + written
    form = head + b"\r\ncontent-type: text/plain\r\n\r\nx\r\n--b--\r\n"
    sent = {"content-type": "multipart/form-data; boundary=b"}
    assert gateway.send("POST", ticket["upload_url"], content=form, headers=sent).json()["code"] == 200
    shown = alice.get(ticket["download_url"]).headers["content-disposition"]
    assert unquote(shown.partition("filename*=UTF-8''")[2]) == given


def test_thumbnails(gateway: Gateway, alice: Person) -> None:
    url = alice.upload(picture((1000, 500)))
    thumbnail = alice.get(url, image_type=2)
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(thumbnail.content)).size == (320, 160)
    assert Image.open(io.BytesIO(alice.get(url, w=100.0, h=20).content)).size == (160, 80)
    assert alice.get(url, image_type=2).content == thumbnail.content
    assert len(stored(gateway)) == 3
    seen = alice.get(alice.upload(picture((400, 400), "PNG", "RGBA")), image_type=2)
    assert seen.headers["content-type"] == "image/png"


def test_a_picture_that_is_a_bomb_or_broken_is_served_as_it_is(gateway: Gateway, alice: Person) -> None:
    gateway.services.conversions = Conversions(lambda: gateway.now, pixels=10_000)
    large = picture((200, 100))
    assert alice.get(alice.upload(large), image_type=2).content == large
    broken = picture()[:400]
    assert alice.get(alice.upload(broken), image_type=2).content == broken


def test_video_covers_and_mp3_need_ffmpeg(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    video = alice.upload(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 50, "a.mp4", 103)
    voice = alice.upload(b"#!AMR\n" + b"\0" * 40, "a.amr", 101)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert alice.get(video, imgage_type=3).status_code == 404
    original = alice.get(voice, format="mp3")
    assert original.headers["content-type"] == "audio/amr"
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "$*" > "${last#file:}"\n')
    program.chmod(0o755)
    cover = alice.get(video, image_type=3)
    assert cover.headers["content-type"] == "image/jpeg"
    assert b"-protocol_whitelist file -f mov" in cover.content
    assert alice.get(voice, format="mp3").headers["content-type"] == "audio/mpeg"
    assert alice.get(voice, format="amr").content == original.content


def test_who_may_download(gateway: Gateway, alice: Person) -> None:
    url = alice.upload(picture())
    assert gateway.send("GET", url, headers={"app_id": "app"}).json()["code"] == 10003
    assert gateway.send("GET", url, headers={"app_id": "app", "access-token": "x"}).json()["code"] == 402
    assert gateway.send("GET", url, headers={"app_id": "app", "access-token": gateway.admin()}).status_code == 200
    token = gateway.register("eve", app="other")[1]
    assert gateway.send("GET", url, headers={"app_id": "other", "access-token": token}).json()["code"] == 402
    for forged in (url[:-1], url + "A", url.replace("sign=", "sign=A"), url.partition("sign=")[0] + "sign=%00"):
        assert alice.get(forged).json()["code"] == 402
    upload_url = alice.ticket()["upload_url"]
    crossed = "http://im.test:8480/file/download/chat?file_sign=" + upload_url.partition("upload_sign=")[2]
    assert alice.get(crossed).json()["code"] == 402


def test_a_token_for_files_downloads_for_an_hour_and_does_nothing_else(make: Callable[..., Gateway]) -> None:
    gateway = make(files=schema.FilesSettings(account_tokens=False))
    alice = Person(gateway, "alice")
    url = alice.upload(picture())
    made = gateway.data("GET", "/file/token", alice.token)
    assert made["expire"] == 2_000_000_000 + limits.FILE_TOKEN_LIFETIME_S
    address = f"{url}&app_id=app&access-token="
    assert gateway.send("GET", address + made["token"]).content == picture()
    assert gateway.send("GET", url, headers={"app_id": "app", "access-token": made["token"]}).content == picture()
    assert gateway.send("GET", url, headers={"app_id": "app", "access-token": alice.token}).content == picture()
    assert gateway.send("GET", address + alice.token).json()["code"] == 402
    assert gateway.send("GET", address).json()["code"] == 10003
    for method, path in (
        ("GET", "/user/profile"),
        ("GET", "/file/token"),
        ("GET", "/file/upload/chat"),
        ("POST", "/user/kick"),
    ):
        assert gateway.code(method, path, made["token"]) == 402
    foreign = gateway.register("eve", app="other")[1]
    assert gateway.code("GET", "/file/token", foreign) == 402
    old = issue(APPS[0].token_key, Identity("app", alice.uid, ROLE_FILES, 0, 1))
    assert gateway.send("GET", address + old).json()["code"] == 402
    gateway.data("POST", "/user/kick", alice.token)
    assert gateway.send("GET", address + made["token"]).json()["code"] == 402


def test_a_ticket_is_for_one_file_and_expires(gateway: Gateway, alice: Person) -> None:
    url = alice.ticket()["upload_url"]
    assert put(gateway, url, picture())["code"] == 200
    assert put(gateway, url, picture())["code"] == 10002
    assert len(stored(gateway)) == 1
    late = Sign(file_signs.UPLOAD, alice.uid, 7, 102, 1, 1, 1_999_999_999)
    text = file_signs.write(APPS[0].secret, late)
    assert put(gateway, f"/file/upload?app_id=app&upload_sign={text}", picture())["code"] == 402


def test_plain_bodies(gateway: Gateway, alice: Person) -> None:
    ticket = alice.ticket()
    answer = gateway.send("PUT", ticket["upload_url"], content=picture(), headers={"content-type": "image/jpeg"})
    assert answer.json()["data"] is True
    assert alice.get(ticket["download_url"]).content == picture()


def test_quotas(make: Callable[..., Gateway]) -> None:
    gateway = make(files=schema.FilesSettings(max_mb=1, user_mb=2, total_mb=3))
    alice, bob = Person(gateway, "alice"), Person(gateway, "bob")
    large = b"x" * (1 << 20)
    assert put(gateway, alice.ticket(100)["upload_url"], large + b"x")["code"] == 413
    assert gateway.send("PUT", alice.ticket(100)["upload_url"], content=large * 2).status_code == 413
    alice.upload(large)
    alice.upload(large)
    refused = put(gateway, alice.ticket(100)["upload_url"], large)
    assert refused["code"] == 10009
    assert "2 of 2 MB" in refused["message"]
    bob.upload(large)
    assert put(gateway, bob.ticket(100)["upload_url"], large)["code"] == 10009
    assert len(stored(gateway)) == 3


def test_a_full_disk_refuses_uploads_with_a_reason(make: Callable[..., Gateway]) -> None:
    gateway = make(storage=schema.Storage(min_free_bytes=1 << 60))
    refused = put(gateway, Person(gateway, "alice").ticket()["upload_url"], picture())
    assert refused["code"] == 10009
    assert "full" in refused["message"]
    assert stored(gateway) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\ncontent-disposition: form-data; name=file\r\n\r\nabc", "multipart/form-data; boundary=x"),
        (
            b"--x\r\ncontent-disposition: form-data; name=other\r\n\r\nabc\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\n" + b"a" * 20_000 + b": b\r\n\r\nabc\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"abc", "multipart/form-data; boundary=x"),
        (b"abc", "multipart/form-data"),
        (b"", "image/jpeg"),
    ],
)
def test_broken_uploads_leave_nothing(gateway: Gateway, alice: Person, body: bytes, kind: str) -> None:
    answer = gateway.send("POST", alice.ticket()["upload_url"], content=body, headers={"content-type": kind})
    assert answer.json()["code"] == 10002
    assert stored(gateway) == []


def test_what_was_announced_as_a_picture_is_one(gateway: Gateway, alice: Person) -> None:
    assert put(gateway, alice.ticket(102)["upload_url"], b"%PDF-1.4\n" + b" " * 100)["code"] == 10002
    assert put(gateway, alice.ticket(103)["upload_url"], picture())["code"] == 10002
    ticket = gateway.data("GET", "/file/upload/avatar/user", alice.token)
    assert put(gateway, ticket["upload_url"], HTML)["code"] == 10002
    assert stored(gateway) == []


def test_a_ticket_ends_with_its_owners_tokens(gateway: Gateway, alice: Person) -> None:
    ticket, late = alice.ticket(), alice.ticket()
    assert put(gateway, ticket["upload_url"], picture())["code"] == 200
    change = {"old_password": "secret1", "new_password": "secret2"}
    answer = gateway.call("POST", "/user/change_password", alice.token, json=change)
    assert put(gateway, late["upload_url"], picture())["code"] == 402
    assert gateway.code("GET", "/file/upload/avatar/user", alice.token) == 402
    alice.token = answer["token"]
    assert answer["expire"] > 2_000_000_000
    assert put(gateway, alice.ticket()["upload_url"], picture())["code"] == 200
    assert alice.get(ticket["download_url"]).status_code == 200, "what was uploaded is there"


def test_avatars(gateway: Gateway, alice: Person) -> None:
    ticket = gateway.data("GET", "/file/upload/avatar/user", alice.token)
    assert put(gateway, ticket["upload_url"], picture())["data"] is True
    assert gateway.data("POST", "/user/avatar", alice.token, json={"avatar": ticket["download_url"]}) is True
    shown = Person(gateway, "bob").get(ticket["download_url"], image_type=2)
    assert shown.headers["content-type"] == "image/jpeg"
    assert gateway.code("GET", "/file/upload/avatar/group", alice.token, params={"group_id": 99}) == 20001
    gid = gateway.data("POST", "/group/create", alice.token, json={"name": "team"})["group_id"]
    params = {"group_id": gid, "access-token": alice.token}
    assert gateway.code("GET", "/file/upload/avatar/group", alice.token, params=params) == 200


def test_missing_parameters(gateway: Gateway, alice: Person) -> None:
    for path, name in {
        "download/chat": "file_sign",
        "download/avatar": "object_name",
        "upload/forward": "file_sign",
    }.items():
        answer = gateway.call("GET", f"/file/{path}", alice.token)
        assert answer["code"] == 10002
        assert name in answer["message"]


def test_old_files_go_with_all_that_was_made_of_them(make: Callable[..., Gateway]) -> None:
    gateway = make(files=schema.FilesSettings(retention_days=1))
    alice = Person(gateway, "alice")
    url = alice.upload(picture())
    alice.get(url, image_type=2)
    files = gateway.services.files
    gateway.run(files.count())
    assert files.used_bytes == len(picture())
    gateway.run(files.expire())
    assert len(stored(gateway)) == 2
    files._now_ms = lambda: 2_000_000_000_000 + 86_400_001
    gateway.run(files.expire())
    assert stored(gateway) == []
    assert alice.get(url).status_code == 404
    gateway.run(files.count())
    assert files.used_bytes == 0


def test_files_of_a_deleted_account_go_but_not_what_a_group_has(make: Callable[..., Gateway]) -> None:
    gateway = make()
    alice, bob = Person(gateway, "alice"), Person(gateway, "bob")
    gid = gateway.data("POST", "/group/create", alice.token, json={"name": "g", "user_list": [bob.uid]})["group_id"]
    own, others = alice.upload(picture()), bob.upload(picture())
    ticket = gateway.data("GET", f"/file/upload/avatar/group?group_id={gid}", alice.token)
    assert put(gateway, ticket["upload_url"], picture((64, 64)))["code"] == 200
    files = gateway.services.files
    gateway.run(files.expire())
    assert len(stored(gateway)) == 3
    assert gateway.data("POST", "/user/delete", alice.token, json={"password": "secret1"}) is True
    gateway.run(files.expire())
    assert len(stored(gateway)) == 2
    assert bob.get(own).status_code == 404
    assert bob.get(others).status_code == bob.get(ticket["download_url"]).status_code == 200
    gateway.run(files.count())
    assert files.used_bytes == len(picture()) + len(picture((64, 64)))


def test_a_crash_between_record_and_bytes(gateway: Gateway, alice: Person) -> None:
    url = alice.upload(picture())
    [path] = stored(gateway)
    incoming = gateway.data_directory / "files/incoming"
    left = incoming / f"{path.name}.1.part"
    path.rename(left)
    (incoming / "ff-0123456789abcdef.2.part").write_bytes(b"half an upload")
    (incoming / f"{path.name}.3.part").write_bytes(b"another try")
    (incoming / "thumb.4.made").write_bytes(b"x")
    gateway.run(gateway.services.files.recover())
    assert alice.get(url).content == picture()
    assert list(incoming.iterdir()) == []
    assert len(stored(gateway)) == 1


def test_bytes_that_could_not_be_kept_leave_no_record(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(key: str, file: Path) -> None:
        raise OSError("no room")

    monkeypatch.setattr(gateway.services.files.objects, "put", fail)
    ticket = alice.ticket()
    assert put(gateway, ticket["upload_url"], picture())["code"] == 10009
    assert alice.get(ticket["download_url"]).status_code == 404
    assert stored(gateway) == []
    gateway.run(gateway.services.files.count())
    assert gateway.services.files.used_bytes == 0


def test_usage_follows_removals(gateway: Gateway, alice: Person) -> None:
    for _ in range(2):
        alice.upload(picture())
    keys = [tuple(int(part, 16) for part in path.name.split("-")) for path in stored(gateway)]
    shard = gateway.shards.map.shard_of(alice.uid)
    gateway.run(gateway.shards.call(shard, RemoveFiles([*keys[:1], *keys[:1]])))  # type: ignore[arg-type]
    gateway.run(gateway.services.files.count())
    assert gateway.services.files.used_bytes == len(picture())


def test_nobody_keeps_the_others_out(gateway: Gateway, alice: Person) -> None:
    bob = Person(gateway, "bob")
    files = gateway.services.files
    keys = [f"{alice.uid:x}-{number:016x}" for number in range(limits.UPLOADS_PER_USER)]
    with ExitStack() as under_way:
        for key in keys:
            under_way.enter_context(files.incoming(key, 0, "127.0.0.1"))
        assert put(gateway, alice.ticket()["upload_url"], picture())["code"] == 503
        assert put(gateway, bob.ticket()["upload_url"], picture())["code"] == 200
    assert put(gateway, alice.ticket()["upload_url"], picture())["code"] == 200


def test_the_slowest_upload_is_told_that_its_place_is_gone(gateway: Gateway, tmp_path: Path) -> None:
    files = gateway.services.files

    async def trickling() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def slow(number: int) -> None:
        with files.incoming(f"{number:x}-{0:016x}", 0, "attacker") as upload:
            await receive(trickling(), "image/png", 1 << 20, upload)

    async def story() -> None:
        attackers = [asyncio.create_task(slow(number)) for number in range(limits.UPLOADS_PER_PEER)]
        await asyncio.sleep(0.05)
        gateway.now += limits.UPLOAD_JUDGED_S
        with files.incoming(f"ff-{0:016x}", 0, "attacker"):
            ended, others = await asyncio.wait(attackers, return_when=asyncio.FIRST_COMPLETED)
        error = next(iter(ended)).exception()
        assert isinstance(error, CallError) and error.code == 503 and "slowest" in error.message and len(ended) == 1
        for other in others:
            other.cancel()
        await asyncio.wait(others)

    gateway.run(story())
    incoming = gateway.data_directory / "files/incoming"
    assert list(incoming.iterdir()) == []


def test_an_upload_that_stops_is_given_up(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPLOAD_IDLE_S", 0.01)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"x" * (limits.UPLOAD_WRITE_BYTES + 1)
        await asyncio.Event().wait()

    with pytest.raises(CallError) as caught:
        gateway.run(receive(stalling(), "image/png", 1 << 20, Incoming(tmp_path / "part", "1", "here", 0.0)))
    assert caught.value.code == 408
    assert not (tmp_path / "part").exists()
