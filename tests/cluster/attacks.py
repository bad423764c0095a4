"""What a user who has logged in may do to a server: each attack sends what it can for a moment, and comes again.

``python -m tests.cluster.attacks URL NAME SECONDS SEED [VICTIM…]``: one attacker in a process of its own, so that it costs nobody else a
turn of their loop; it prints how often it did what. It never fails: honest clients say how it went.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from lanying.base.errors import LanyingError
from lanying.base.limits import UPLOADS_PER_USER
from lanying.protocol import frame
from lanying.protocol.schema.xsync_pb2 import MessageBody, MessageOperation
from lanying.testing.raw import RawClient, rest
from tests.fuzz.frames import Frames
from tests.fuzz.mutator import Mutator

PASSWORD = "correct-horse1"
DEEP = '{"action":"call","callId":' + "[" * 1010 + "]" * 1010 + "}"
LARGEST = (1 << 64) - 1
SESSIONS = 20
SEND_S = 0.5
OPERATION = MessageOperation.OpType


def picture(width: int, height: int) -> bytes:
    """A black PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    rows = zlib.compress(bytes(1 + 3 * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURE = picture(65500, 366)
ELSEWHERE = "127.0.3.9"
"""Where attackers come from who are no neighbours of anybody."""
HOSTILE_TEXTS = (
    "http://[",
    "javascript:alert(1)",
    "../../apps.json",
    "data:text/html,x",
    "\u202egpj.exe",
    "//evil.example/x",
    "[" * 5000,
)


class Attacker:
    """A user with one device, many if an attack wants them, and a token.

    :param victims: uids to annoy
    :ivar done: times each attack was made
    :ivar ended: of these, by how they ended early
    """

    def __init__(self, url: str, name: str, seed: int, victims: list[int]) -> None:
        self.url, self.name, self.victims = url, name, victims
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._raw: RawClient | None = None
        self._number = int(time.time() * 1000)
        self._noise = Mutator(self.chance, Frames().seeds(), Frames.words)
        self._grant: dict[str, Any] = {}
        self.idle: list[RawClient] = []
        self.uploads: list[socket.socket] = []
        self.password = PASSWORD

    @property
    def uid(self) -> int:
        return int(self.grant["user_id"])

    @property
    def grant(self) -> dict[str, Any]:
        if not self._grant:
            try:
                rest(self.url, "/user/register/v2", {"username": self.name, "password": self.password})
            except AssertionError:
                pass  # it is there already
            self._grant = rest(self.url, "/token/user", {"name": self.name, "password": self.password})
        return self._grant

    def session(self, guid: str) -> RawClient:
        """A logged-in connection."""
        raw = RawClient(self.url)
        raw.put(frame.provision(self.uid, self.grant["token"], guid))
        raw.get()
        raw.socket.settimeout(SEND_S)
        return raw

    def put(self, *frames: bytes) -> None:
        """Send, and read what there is. A connection that is closed or stuck is made anew the next time."""
        raw, self._raw = self._raw or self.session("attacker"), None
        raw.put(*frames)
        drained(raw)
        self._raw = raw

    def call(self, method: str, path: str, body: object = None, source: str = "") -> Any:
        """One REST call; its answer, whatever it is; None: no JSON. ``body``: bytes go as they are; ``source``: from this address."""
        where = (source, 0) if source else None
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5, source_address=where)
        headers = {"app_id": "lanying", "access-token": self.grant["token"], "content-type": "application/json"}
        sent = body if isinstance(body, bytes | None) else json.dumps(body)
        connection.request(method, path, sent, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return json.loads(answer) if response.headers["content-type"] == "application/json" else None

    def message(self, to: int, **fields: Any) -> bytes:
        """A message frame with these fields of a MessageBody."""
        fields.setdefault("type", MessageBody.CHAT)
        return self.meta(to, MessageBody(**fields).SerializeToString())

    def meta(self, to: int, payload: bytes, ns: int = 1) -> bytes:
        self._number += 1
        return frame.send_meta(self._number, self.uid, 0, to, 1, ns, payload)

    def operation(self, to: int, kind: int, mid: int, **fields: Any) -> bytes:
        """An operation frame."""
        operation = MessageOperation(type=kind, mid=mid)  # type: ignore[arg-type]
        operation.xid.uid = to
        return self.message(to, type=MessageBody.OPER, ctype=MessageBody.COMMAND, operation=operation, **fields)

    @property
    def victim(self) -> int:
        return self.chance.choice(self.victims or [self.uid])

    def noise(self) -> bytes:
        """A frame, or something like one."""
        return self._noise.next()

    def turn(self) -> None:
        """One attack. A server that is away is a server that is away."""
        name = self.chance.choice(sorted(ATTACKS))
        self.once(name)

    def once(self, name: str) -> None:
        """This one."""
        self.done[name] += 1
        try:
            ATTACKS[name](self)
        except (OSError, EOFError, AssertionError, ValueError, LanyingError, http.client.HTTPException) as error:
            self.ended[f"{name}: {error!r}"] += 1

    def close(self) -> None:
        for upload in self.uploads:
            upload.close()
        for raw in [*self.idle, *([self._raw] if self._raw else [])]:
            raw.socket.close()


def drained(raw: RawClient) -> None:
    """Throw away what has come."""
    raw.socket.setblocking(False)
    try:
        while raw.socket.recv(1 << 16):
            pass
        raise EOFError
    except BlockingIOError:
        raw.socket.settimeout(SEND_S)


def stored_poison(who: Attacker) -> None:
    who.put(
        who.message(who.victim, ctype=MessageBody.RTC, config=DEEP),
        who.message(who.uid, ctype=MessageBody.RTC, config=DEEP),
    )


def killing_edits(who: Attacker) -> None:
    kinds, mids = (OPERATION.REPLACE, OPERATION.APPEND), (1, LARGEST, 1 << 60)
    who.put(
        who.message(who.uid, config='{"a":' * 400 + "1" + "}" * 400),
        who.message(who.uid, content="x", edit_timestamp=LARGEST, is_system=True),
        *(who.operation(who.uid, kind, mid, config='{"b":1}') for kind in kinds for mid in mids),
    )


def edges(who: Attacker) -> None:
    kinds = [*OPERATION.values(), 77]
    who.put(
        *(
            who.operation(to, kind, mid)
            for kind in kinds
            for to, mid in ((who.victim, 1), (LARGEST, LARGEST), (0, 1 << 63))
        )
    )


def stored_up_work(who: Attacker) -> None:
    first = who.chance.randrange(1 << 60)
    who.put(*(who.operation(who.victim, OPERATION.READ_CANCEL, first + n) for n in range(500)))
    who.put(who.operation(who.victim, OPERATION.READ_ALL, 0))


def acknowledgements_of_nothing(who: Attacker) -> None:
    who.put(*(who.operation(0, OPERATION.READ_ACK, who.chance.randrange(1 << 60)) for _ in range(500)))


def floods_of_bytes(who: Attacker) -> None:
    who.put(*(who.message(who.uid, content="x" * 60_000) for _ in range(20)))


def floods_of_live_messages(who: Attacker) -> None:
    who.put(*(who.message(who.victim, content="x", qos=MessageBody.AT_MOST_ONCE) for _ in range(200)))


def pull_loops(who: Attacker) -> None:
    who.put(*(frame.sync_pull(who.chance.randrange(1 << 50)) for _ in range(2000)))


def slow_readers(who: Attacker) -> None:
    while len(who.idle) < SESSIONS:
        who.idle.append(who.session(f"slow-{len(who.idle)}"))
    raw = who.idle.pop(0)
    raw.put(*(frame.history_request(who.uid, 0, 100) for _ in range(50)))
    who.idle.append(raw)


def history_floods(who: Attacker) -> None:
    who.put(*(frame.history_request(who.uid, 0, 100) for _ in range(10)), *([frame.unread_request()] * 50))


def noise(who: Attacker) -> None:
    who.put(*(who.noise() for _ in range(50)))
    who.put(*(who.meta(who.victim, who.noise(), ns) for ns in range(9)))


def groups_with_others(who: Attacker) -> None:
    who.call("POST", "/group/create", {"name": "come", "user_list": [who.victim]})


def friend_requests(who: Attacker) -> None:
    for size in (12_000, 200, 200, 200):
        reason = f"{who.chance.random()}" + "x" * size
        who.call("POST", "/roster/apply", {"user_id": who.victim, "reason": reason})


def lists(who: Attacker) -> None:
    for path in ("/message/unread", "/group/public_list", "/roster/list", "/roster/apply/list") * 3:
        who.call("GET", path)


def guesses(who: Attacker) -> None:
    who.call("POST", "/group/info/batch", {"group_list": [1024 * n + n % 1024 for n in range(1, 5000)]})
    who.call("POST", "/roster/list", {"list": [*range(1, 10_000)]})


def posts(who: Attacker) -> None:
    who.call(
        "POST", "/message/send", {"type": 1, "content_type": 0, "content": "x" * 30_000, "targets": [who.uid] * 100}
    )


def profiles(who: Attacker) -> None:
    for size in (100, 1000, 24_000):
        who.call(
            "POST",
            "/user/profile",
            {"nick_name": f"{who.chance.random()}", "public_info": "x" * size, "description": "[" * size},
        )


def pictures(who: Attacker) -> None:
    """24 megapixels in 70 KB, and their thumbnail."""
    ticket = who.call("GET", f"/file/upload/chat?to_id={who.uid}&to_type=1&file_type=102&file_name=a.png")["data"]
    who.call("PUT", path_of(ticket["upload_url"]), PICTURE)
    where = path_of(ticket["download_url"])
    who.call("GET", where + f"&image_type=2&access-token={who.grant['token']}")


def wrong_passwords(who: Attacker) -> None:
    """Of somebody who is there, of oneself, of nobody."""
    for number in range(8):
        for name in ("victim", who.name, f"nobody-{number}"):
            who.call("POST", "/token/user", {"name": name, "password": f"wrong-{number}"}, ELSEWHERE)


def ended_sessions(who: Attacker) -> None:
    """A session of a password that is changed goes on."""
    raw = who.session("ending")
    changed = PASSWORD + "2" * (who.password == PASSWORD)
    passwords = {"old_password": who.password, "new_password": changed}
    if (who.call("POST", "/user/change_password", passwords) or {}).get("code") == 200:
        who.password, who._grant = changed, {}
    try:
        raw.put(*(who.message(who.victim, content="x") for _ in range(20)))
        drained(raw)
    finally:
        raw.socket.close()


def slow_uploads(who: Attacker) -> None:
    """As many as one may have, a byte now and then."""
    while len(who.uploads) < UPLOADS_PER_USER:
        who.uploads.append(begun_upload(who, ELSEWHERE))
    upload = who.uploads.pop(0)
    upload.sendall(b"x")
    who.uploads.append(upload)


def begun_upload(who: Attacker, source: str) -> socket.socket:
    """The head of an upload of a megabyte, and the first byte of it."""
    ticket = who.call("GET", f"/file/upload/chat?to_id={who.uid}&to_type=1&file_type=104&file_name=a.bin")["data"]
    where = urlsplit(who.url)
    client = socket.create_connection((where.hostname or "", where.port or 80), 5, source_address=(source, 0))
    head = f"PUT {path_of(ticket['upload_url'])} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx"
    client.sendall(head.encode())
    return client


def path_of(url: str) -> str:
    """Without scheme and host."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


def hostile_fields(who: Attacker) -> None:
    """What a client may choke on, in every field it shows."""
    for text in HOSTILE_TEXTS:
        who.call("POST", "/user/avatar", {"avatar": text})
        who.call("POST", "/user/profile", {"nick_name": text, "description": text, "public_info": text})
        attachment = json.dumps({"url": text, "dName": text, "fLen": LARGEST, "thumb": [text]})
        who.put(*(who.message(who.victim, ctype=kind, content=text, attachment=attachment) for kind in range(8)))
        who.call("POST", "/group/create", {"name": text[:50], "avatar": text, "description": text[:200]})


def bad_requests(who: Attacker) -> None:
    for body in ([[]] * 500, {"a": "9" * 5000}, {"user_id": LARGEST, "group_id": -1}):
        for path in ("/group/info/name", "/user/profile", "/message/send"):
            who.call("POST", path, body)


ATTACKS: dict[str, Callable[[Attacker], None]] = {
    attack.__name__: attack
    for attack in (
        *(stored_poison, killing_edits, edges, stored_up_work, acknowledgements_of_nothing, floods_of_bytes),
        *(
            floods_of_live_messages,
            pull_loops,
            slow_readers,
            history_floods,
            noise,
            groups_with_others,
            friend_requests,
        ),
        *(lists, guesses, posts, profiles, pictures, bad_requests),
        *(wrong_passwords, ended_sessions, slow_uploads, hostile_fields),
    )
}


def main() -> None:
    url, name, seconds, seed, *victims = sys.argv[1:]
    who = Attacker(url, name, int(seed), [int(victim) for victim in victims])
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        before = time.monotonic()
        who.turn()
        if time.monotonic() - before < 0.01:
            time.sleep(0.01)  # refused at once: the server is away
    who.close()
    print(json.dumps(who.done))


if __name__ == "__main__":
    main()
