"""Both object stores keep the same promises."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from lanying.base.errors import ConfigError
from lanying.config import schema
from lanying.gateway.services.objects import LocalObjects, Objects, S3Objects
from lanying.gateway.services.objects import make as make_objects
from tests.gateway.conftest import Gateway

KEY = "3e8-00000000000000ff"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    if request.param == "local":
        return LocalObjects(tmp_path / "files/objects")
    url = request.getfixturevalue("endpoint")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="files")
    return make_objects(
        schema.Files(store="s3", s3_bucket="files", s3_prefix=f"{tmp_path.name}/", s3_endpoint=url), tmp_path
    )


def put(objects: Objects, content: bytes, tmp_path: Path, key: str = KEY) -> Path:
    file = tmp_path / "incoming"
    file.write_bytes(content)
    objects.put(key, file)
    return file


def read(objects: Objects, start: int, length: int) -> bytes:
    reader = objects.open(KEY, start, length)
    found = b""
    while piece := reader.read(7):
        found += piece
    reader.close()
    return found


def test_an_object_from_put_to_delete(objects: Objects, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    assert objects.size(KEY) is None
    assert not put(objects, content, tmp_path).exists()
    assert objects.size(KEY) == 2560
    assert read(objects, 0, 2560) == content
    assert read(objects, 100, 20) == content[100:120]
    assert read(objects, 2559, 1) == content[-1:]
    assert read(objects, 5, 0) == b""
    with objects.local(KEY) as path:
        assert path.read_bytes() == content
    objects.delete(KEY)
    objects.delete(KEY)
    assert objects.size(KEY) is None
    with pytest.raises(OSError):
        objects.open(KEY, 0, 1)
    with pytest.raises(OSError), objects.local(KEY) as path:
        path.read_bytes()


def test_a_gateway_over_either(objects: Objects, make: Callable[..., Gateway]) -> None:
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
    put(objects, b"one", tmp_path)
    put(objects, b"thumbnail", tmp_path, KEY + ".t320")
    objects.delete(KEY)
    assert objects.size(KEY + ".t320") == 9


def test_names_that_are_not_keys_are_our_mistake(objects: Objects) -> None:
    with pytest.raises(AssertionError):
        objects.size("../../etc/passwd")


def test_a_bucket_that_is_away_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = S3Objects("files", endpoint="http://127.0.0.1:9")
    with pytest.raises(OSError):
        away.size(KEY)
    with pytest.raises(OSError):
        put(away, b"x", tmp_path)


def test_a_bucket_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="s3_bucket"):
        make_objects(schema.Files(store="s3"), tmp_path)
