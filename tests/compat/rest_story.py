"""Two friends and a picture, over plain REST: ``python -m tests.compat.rest_story http://127.0.0.1:8480 [APP_ID]``.

Register, log in, become friends, upload a picture, send it, download it on the other side, forward it, take it back. Nothing but
``httpx``: what a back end or an app in any language does. Needs a server with open registration.
"""

from __future__ import annotations

import json
import secrets
import struct
import sys
import zlib
from typing import Any

import httpx

from lanying.testing.poll import until

USER, GROUP = 1, 2
TEXT, IMAGE = 0, 1
CHAT_IMAGE = 102


class Person:
    """Somebody with an account, and their calls."""

    def __init__(self, url: str, app_id: str, name: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"app_id": app_id}, timeout=60)
        self.name = f"{name}_{secrets.token_hex(4)}"
        password = "correct-horse1"
        self.call("POST", "/user/register/v2", {"username": self.name, "password": password})
        found = self.call("POST", "/token/user", {"name": self.name, "password": password})
        self.uid, self.token = found["user_id"], found["token"]
        self.http.headers["access-token"] = self.token

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """``data`` of the answer."""
        return self.envelope(method, path, body, **query)["data"]

    def envelope(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        answer = self.http.request(method, path, params=query, json=None if method == "GET" else body or {})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        if found["code"] != 200:
            raise RuntimeError(f"{method} {path}: {found['code']} {found['message']}")
        return found

    def upload(self, content: bytes, name: str, to: int, file_type: int = CHAT_IMAGE) -> str:
        """Upload for somebody; the address of the file."""
        ticket = self.call("GET", "/file/upload/chat", file_type=file_type, to_type=USER, to_id=to)
        answer = httpx.post(ticket["upload_url"], files={"file": (name, content)}, timeout=60)  # no token, no app id
        assert answer.json() == {"code": 200, "data": True, "message": None}, answer.text
        return str(ticket["download_url"])

    def send(self, to: int, content_type: int, **fields: Any) -> int:
        """The id of the message."""
        body = {"type": USER, "targets": [to], "content_type": content_type, "content": "", **fields}
        return int(self.envelope("POST", "/message/send", body)["msg_ids"][0])

    def messages(self, peer: int) -> list[dict[str, Any]]:
        """The newest first."""
        page = self.call("GET", "/message/conversation", opposite_id=peer, msg_id_start=0, limit=20)
        return list(page["messages"])

    def arrived(self, peer: int) -> list[dict[str, Any]]:
        """As :meth:`messages`, when there are some: an acknowledged message is kept, and on its way to another shard."""
        until(f"a message of {peer} at {self.uid}", lambda: bool(self.messages(peer)))
        return self.messages(peer)


def main(url: str, app_id: str = "lanying") -> list[str]:
    """The story; what happened, a line each."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)

    alice, bob, carol = (Person(url, app_id, name) for name in ("alice", "bob", "carol"))
    tell(f"{alice.name}, {bob.name} and {carol.name} have registered and logged in")

    alice.call("POST", "/roster/apply", {"user_id": bob.uid, "reason": "it is me"})
    bob.call("POST", "/roster/accept", {"user_id": alice.uid})
    assert alice.call("GET", "/roster/list") == [bob.uid]
    tell("alice and bob are friends")

    picture = png(640, 480)
    address = alice.upload(picture, "holiday.png", bob.uid)
    attachment = {"url": address, "dName": "holiday.png", "fLen": len(picture), "width": 640, "height": 480}
    sent = alice.send(bob.uid, IMAGE, attachment=json.dumps(attachment), transaction_id=secrets.randbits(50))
    tell(f"alice has sent a picture of {len(picture)} bytes")

    [received] = bob.arrived(alice.uid)
    assert (received["msg_id"], received["ctype"]) == (sent, "IMAGE")
    [row] = [row for row in bob.call("GET", "/message/unread") if row["conversation_id"]["uid"] == alice.uid]
    assert row["num"] == 1
    link = json.loads(received["attachment"])["url"]
    shown = bob.http.get(link)
    assert shown.content == picture
    assert shown.headers["content-type"] == "image/png"
    part = bob.http.get(link, headers={"range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, picture[:8])
    small = httpx.get(f"{link}&access-token={bob.token}&app_id={app_id}&image_type=2", timeout=60)  # as an <img> does
    assert len(small.content) > 0 and small.headers["content-type"] == "image/jpeg"
    assert httpx.get(link, headers={"app_id": app_id}, timeout=60).json()["code"] == 10003
    bob.call("GET", "/message/ack", conversation_id=alice.uid, msg_id=sent)
    until("alice knows that it was read", lambda: alice.messages(bob.uid)[0]["status"] == "READ")
    tell("bob has seen it, in full and as a thumbnail, and alice knows")

    sign = link.partition("sign=")[2]
    forwarded = bob.call("GET", "/file/upload/forward", file_sign=sign, to_type=USER, to_id=carol.uid)
    bob.send(carol.uid, IMAGE, attachment=json.dumps({**attachment, "url": forwarded}))
    [copy] = carol.arrived(bob.uid)
    assert carol.http.get(json.loads(copy["attachment"])["url"]).content == picture
    tell("bob has forwarded it to carol")

    assert alice.call("POST", "/message/recall", {"conversation_id": bob.uid, "msg_id": sent}) is True
    until("the message is gone for both", lambda: bob.messages(alice.uid) == [] == alice.messages(bob.uid))
    assert len(carol.messages(bob.uid)) == 1
    tell("alice has taken it back")
    return told


def png(width: int, height: int) -> bytes:
    """A picture with something on it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) & 255 for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    print(*main(*sys.argv[1:3]), sep="\n")
