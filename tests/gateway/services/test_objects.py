"""Every object store keeps the same promises: a directory, a bucket of a real S3 server, and obstore's own memory."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import MemoryStore
from PIL import Image

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config import schema
from lanying.gateway.services import bucket
from lanying.gateway.services.file_store import object_store
from lanying.gateway.services.objects import LocalObjects, Objects
from tests.gateway.conftest import Gateway

pytestmark = pytest.mark.usefixtures("own_process")
"""A bucket's library reads how many threads it gets from the environment."""
KEY = "3e8-00000000000000ff"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")


@pytest.fixture
def of_s3(endpoint: str, credentials: None, tmp_path: Path) -> Objects:
    assert httpx.put(f"{endpoint}/files").status_code == 200
    settings = schema.FilesSettings(store="s3", s3_bucket="files", s3_prefix=f"{tmp_path.name}/", s3_endpoint=endpoint)
    return object_store(settings, tmp_path)


@pytest.fixture(params=["local", "memory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "local":
        return LocalObjects(tmp_path / "files/objects")
    if request.param == "memory":
        return bucket.BucketObjects(MemoryStore(), "files/")
    found: Objects = request.getfixturevalue("of_s3")
    return found


async def put(objects: Objects, content: bytes, tmp_path: Path, key: str = KEY) -> Path:
    file = tmp_path / "incoming"
    file.write_bytes(content)
    await objects.put(key, file)
    return file


async def read(objects: Objects, start: int, length: int) -> bytes:
    return b"".join([piece async for piece in await objects.open(KEY, start, length)])


def test_an_object_from_put_to_delete(objects: Objects, tmp_path: Path) -> None:
    async def scene() -> None:
        content = bytes(range(256)) * 10
        assert await objects.size(KEY) is None
        assert not (await put(objects, content, tmp_path)).exists()
        assert await objects.size(KEY) == 2560
        assert await read(objects, 0, 2560) == content
        assert await read(objects, 100, 20) == content[100:120]
        assert await read(objects, 2559, 1) == content[-1:]
        assert await read(objects, 5, 0) == b""
        async with objects.local(KEY) as path:
            assert path.read_bytes() == content
        await objects.delete(KEY)
        await objects.delete(KEY)
        assert await objects.size(KEY) is None
        with pytest.raises(OSError):
            await objects.open(KEY, 0, 1)
        with pytest.raises(OSError):
            async with objects.local(KEY) as path:
                path.read_bytes()

    asyncio.run(scene())


@pytest.mark.parametrize("objects", ["local", "s3"], indirect=True)
def test_a_large_object_goes_and_comes_in_pieces(objects: Objects, tmp_path: Path) -> None:
    content = bytes(range(251)) * ((2 * bucket.PART_BYTES + 1000) // 251)

    async def scene() -> None:
        await put(objects, content, tmp_path)
        pieces = [piece async for piece in await objects.open(KEY, 7, len(content) - 7)]
        assert b"".join(pieces) == content[7:]
        half = await objects.open(KEY, 0, len(content))
        assert content.startswith(await anext(half))
        await half.aclose()
        assert len(pieces) > 4, "the whole is never in memory"
        assert await objects.size(KEY) == len(content) > 8 * limits.DOWNLOAD_CHUNK_BYTES

    asyncio.run(scene())


def test_a_gateway_over_each(objects: Objects, make: Callable[..., Gateway]) -> None:
    gateway = make()
    gateway.services.files.objects = objects
    token = gateway.register("alice")[1]
    ticket = gateway.data("GET", "/file/upload/chat?file_type=102&to_id=1", token)
    out = io.BytesIO()
    Image.new("RGB", (640, 320), "red").save(out, "PNG")
    assert gateway.send("PUT", ticket["upload_url"], content=out.getvalue()).json()["data"] is True
    headers = {"app_id": "app", "access-token": token}
    part = gateway.send("GET", ticket["download_url"], headers={**headers, "range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, out.getvalue()[2:10])
    small = gateway.send("GET", ticket["download_url"] + "&image_type=2", headers=headers)
    assert Image.open(io.BytesIO(small.content)).size == (320, 160)


def test_objects_do_not_touch_each_other(objects: Objects, tmp_path: Path) -> None:
    async def scene() -> None:
        await put(objects, b"one", tmp_path)
        await put(objects, b"thumbnail", tmp_path, KEY + ".t320")
        await objects.delete(KEY)
        assert await objects.size(KEY + ".t320") == 9

    asyncio.run(scene())


def test_names_that_are_not_keys_are_our_mistake(objects: Objects) -> None:
    with pytest.raises(AssertionError):
        asyncio.run(objects.size("../../etc/passwd"))


def test_objects_of_earlier_versions_are_where_they_were(endpoint: str, of_s3: Objects, tmp_path: Path) -> None:
    """On the disk below the digits of the key's hash, in a bucket the key behind the prefix."""
    place = tmp_path / "objects/8f/a6" / KEY
    place.parent.mkdir(parents=True)
    place.write_bytes(b"old")
    assert asyncio.run(read(LocalObjects(tmp_path / "objects"), 0, 3)) == b"old"
    assert httpx.put(f"{endpoint}/files/{tmp_path.name}/{KEY}", content=b"old").status_code == 200
    assert asyncio.run(read(of_s3, 0, 3)) == b"old"


def test_a_bucket_that_is_away_is_an_error_of_the_system(
    credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bucket, "RETRIES", 0)
    away = bucket.s3("files", endpoint="http://127.0.0.1:9")
    for attempt in (away.size(KEY), away.open(KEY, 0, 1), away.delete(KEY), put(away, b"x", tmp_path)):
        with pytest.raises(OSError) as error:
            asyncio.run(attempt)
        assert "\n" not in str(error.value)
    assert (tmp_path / "incoming").read_bytes() == b"x", "what was not kept is still there"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (schema.FilesSettings(store="s3"), "s3_bucket"),
        (schema.FilesSettings(store="s3", s3_bucket="files", s3_prefix="/x/"), "s3_prefix"),
        (schema.FilesSettings(store="s3", s3_bucket="files", s3_prefix="x//"), "s3_prefix"),
    ],
)
def test_a_bucket_that_cannot_be_is_refused(settings: schema.FilesSettings, word: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=word):
        object_store(settings, tmp_path)
