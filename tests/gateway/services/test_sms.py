"""The hook for SMS against an HTTP server of this machine: what it is sent, and what becomes of a code that it does not take."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.schema import Config, Sms
from lanying.supervisor.precheck import check_settings
from lanying.testing.poll import PATIENCE_S
from tests.gateway.conftest import Gateway

MOBILE = "+8613800000001"


class Hook:
    """Somebody's sender of SMS: remembers what it was sent.

    :ivar status: what it answers
    :ivar go: set for it to answer at all
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.go = threading.Event()
        self.go.set()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                hook.go.wait(PATIENCE_S)
                self.send_response(hook.status)
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/send?key=1"


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hook
    hook.go.set()
    hook.server.shutdown()
    hook.server.server_close()
    thread.join()


@pytest.fixture
def settings(hook: Hook, tmp_path: Path) -> Sms:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    return Sms(provider="http", url=hook.url, template="{code} is \u4f60\u7684 code", secret_file=str(secret))


def ask(gateway: Gateway, mobile: str = MOBILE) -> int:
    return gateway.code("GET", "/app/captcha/sms", params={"mobile": mobile})


def test_a_code_is_posted_signed_and_good(make: Callable[..., Gateway], hook: Hook, settings: Sms) -> None:
    gateway = make(sms=settings)
    assert ask(gateway) == 200
    [(path, headers, body)] = hook.seen
    said = json.loads(body)
    assert path == "/send?key=1"
    assert headers["x-lanying-timestamp"] == "2000000000"
    signed = hmac.digest(b"s3cret", b"2000000000." + body, "sha256").hex()
    assert hmac.compare_digest(headers["x-lanying-signature"], signed)
    code = said["code"]
    assert said == {"app": "app", "mobile": MOBILE, "code": code, "text": f"{code} is \u4f60\u7684 code"}
    granted = gateway.data("GET", "/app/user/info_pwd", params={"mobile": MOBILE, "captcha": code})
    assert granted.keys() == {"sign"}


@pytest.mark.parametrize("status", [301, 307, 400, 401, 500])
def test_what_is_not_taken_is_refused_followed_nowhere_and_may_be_asked_again(
    make: Callable[..., Gateway], hook: Hook, settings: Sms, status: int
) -> None:
    gateway = make(sms=settings)
    hook.status = status
    assert ask(gateway) == 503
    assert len(hook.seen) == 1
    hook.status = 200
    assert ask(gateway) == 200
    assert ask(gateway) == 10028


def test_a_hook_that_is_silent_or_away_is_not_waited_for(
    make: Callable[..., Gateway], hook: Hook, settings: Sms, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make(sms=settings)
    monkeypatch.setattr(limits, "SMS_TIMEOUT_S", 0.2)
    hook.go.clear()
    assert ask(gateway) == 503
    hook.go.set()
    hook.server.shutdown()
    hook.server.server_close()
    assert ask(gateway, "+8613800000002") == 503


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"url": ""}, "sms.url"),
        ({"url": "ftp://a/b"}, "sms.url"),
        ({"url": "http:///x"}, "sms.url"),
        ({"url": "http://a:x/"}, "sms.url"),
        ({"template": "no code"}, "sms.template"),
        ({"secret_file": ""}, "sms.secret_file"),
        ({"secret_file": "/no/such/file"}, "secret_file"),
        ({"secret_file": "/dev/null"}, "sms.secret_file"),
    ],
)
def test_what_cannot_work_refuses_the_start(settings: Sms, change: dict[str, str], named: str) -> None:
    check_settings(Config(sms=settings))
    values = {name: getattr(settings, name) for name in Sms.__struct_fields__}
    with pytest.raises(ConfigError, match=named):
        check_settings(Config(sms=Sms(**{**values, **change})))
