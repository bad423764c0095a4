import json
from urllib.parse import parse_qs

import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import TOO_LARGE, Access, PushState, VendorAnswer
from lanying.push.vendors.huawei import Huawei
from tests.push.vendors.keys import NOW, PUSH, TOKEN, notifier_of, secret_of


def huawei(**options):
    return Huawei(notifier_of("huawei", **options), secret_of("huawei"))


def sent(push):
    return json.loads(huawei().request(TOKEN, push, "m-1", "access", NOW).body)["message"]


def test_a_message_is_a_notification_that_opens_the_application():
    found = huawei().request(TOKEN, PUSH, "m-1", "access", NOW)
    assert found.url == "https://push-api.cloud.huawei.com/v1/1234567/messages:send"
    assert found.headers == {"content-type": "application/json", "authorization": "Bearer access"}
    assert json.loads(found.body) == {
        "validate_only": False,
        "message": {
            "android": {
                "ttl": "86400s",
                "notification": {
                    "title": "Alice",
                    "body": "Hello, Bob! 你好",
                    "click_action": {"type": 3},
                    "tag": "m-1",
                },
            },
            "token": [TOKEN],
        },
    }


def test_huaweis_block_overrides_the_android_one():
    push = Push(
        "A",
        "B",
        120,
        loc_key="K",
        loc_args=["x"],
        android={"sound": "/raw/a", "channel_id": "c", "click_action": "intent", "intent": "#Intent;end"},
        vendors={"huawei": {"sound": "/raw/h", "badge_class": "com.example.Main", "category": "IM"}},
        ext={"n": 1},
    )
    assert sent(push) == {
        "data": '{"n":1}',
        "android": {
            "ttl": "86400s",
            "category": "IM",
            "notification": {
                "title": "A",
                "body": "B",
                "click_action": {"type": 1, "intent": "#Intent;end"},
                "tag": "m-1",
                "channel_id": "c",
                "body_loc_key": "K",
                "body_loc_args": ["x"],
                "sound": "/raw/h",
                "default_sound": False,
                "badge": {"class": "com.example.Main", "set_num": 99},
            },
        },
        "token": [TOKEN],
    }


def test_a_picture_is_shown_if_huawei_takes_its_address():
    https, http = (Push("A", "B", 1, image=f"{scheme}://e.com/1.png") for scheme in ("https", "http"))
    assert sent(https)["android"]["notification"]["image"] == "https://e.com/1.png"
    assert "image" not in sent(http)["android"]["notification"]


def test_silent_pushes_and_data():
    silent = sent(Push("A", "B", 1, silent=True, android={"sound": "/raw/a"}))["android"]["notification"]
    assert silent["importance"] == "LOW" and "sound" not in silent
    assert sent(Push("A", "B", 1, data_only=True)) == {"data": "{}", "android": {"ttl": "86400s"}, "token": [TOKEN]}


def test_all_but_the_token_fits():
    found = sent(Push("A", "好" * 4000, 1))
    assert found["android"]["notification"]["body"].endswith("好…")
    del found["token"]
    assert len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()) <= limits.VENDOR_PAYLOAD_BYTES
    assert huawei().request(TOKEN, Push("A", "B", 1, ext={"a": "x" * 4096}), "m", "a", NOW) is TOO_LARGE


def test_the_login_goes_to_another_host_with_the_clients_credentials():
    found = huawei(endpoint="https://push-api.cloud.huawei.eu").login(NOW)
    assert found.url == "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
    assert parse_qs(found.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["1234567"],
        "client_secret": ["secret"],
    }
    assert huawei(login_endpoint="https://proxy.example/").login(NOW).url == "https://proxy.example/oauth2/v3/token"
    granted = VendorAnswer(200, {}, b'{"access_token":"a","expires_in":3600}')
    assert huawei().access(granted, NOW) == Access("a", NOW + 3240)


def answer(code, status=200):
    return VendorAnswer(status, {}, json.dumps({"code": code, "msg": "said", "requestId": "1"}).encode())


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer("80000000"), PushState.SENT),
        (answer("80300007", 400), PushState.GONE),
        (answer("80100000"), PushState.GONE),
        (answer("80300008", 400), PushState.REFUSED),
        (answer("80300002", 400), PushState.REFUSED),
        (answer("81000001", 500), PushState.LATER),
        (VendorAnswer(503), PushState.LATER),
        (VendorAnswer(404, {}, b"no such app"), PushState.REFUSED),
        (VendorAnswer(200, {}, b"<html>a hotel's front page"), PushState.LATER),
    ],
)
def test_answers(given, state):
    found = huawei().outcome(given, NOW)
    assert found.state is state and (found.reason or state is PushState.SENT)


def test_an_expired_token_is_renewed():
    assert huawei().stale(answer("80200003")) and huawei().stale(VendorAnswer(401))
    assert not huawei().stale(answer("80300007")) and not huawei().stale(answer("80000000"))


@pytest.mark.parametrize(
    ("app_id", "secret", "complaint"),
    [("", Secret("", ""), "--app-id and --secret-file"), ("../x", Secret("", "s"), "--app-id is a number")],
)
def test_an_error_says_what_is_missing(app_id, secret, complaint):
    notifier = notifier_of("huawei")
    with pytest.raises(ConfigError) as caught:
        Huawei(type(notifier)("app", "hw", 2, 1, app_id, "sealed"), secret)
    assert complaint in str(caught.value)
