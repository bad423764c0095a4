import json
from urllib.parse import parse_qs

import pytest

from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import TOO_LARGE, Access, PushState, VendorAnswer
from lanying.push.vendors.xiaomi import Xiaomi
from tests.push.vendors.keys import NOW, PUSH, TOKEN, notifier_of, secret_of


def xiaomi(**options):
    return Xiaomi(notifier_of("xiaomi", **options), secret_of("xiaomi"))


def sent(push, **options):
    body = xiaomi(**options).request(TOKEN, push, "m-1", "", NOW).body.decode()
    return {name: value for name, (value,) in parse_qs(body).items()}


def test_a_message_is_a_form_with_the_secret_in_a_header():
    found = xiaomi().request(TOKEN, PUSH, "m-1", "", NOW)
    assert found.url == "https://api.xmpush.xiaomi.com/v3/message/regid"
    assert found.headers["authorization"] == "key=secret"
    assert sent(PUSH, package="com.example.app") == {
        "registration_id": TOKEN,
        "restricted_package_name": "com.example.app",
        "pass_through": "0",
        "title": "Alice",
        "description": "Hello, Bob! 你好",
        "notify_type": "-1",
        "notify_id": sent(PUSH)["notify_id"],
        "time_to_live": "86400000",
        "extra.notify_effect": "1",
    }
    assert 0 < int(sent(PUSH)["notify_id"]) < 1 << 31
    assert xiaomi().login(NOW) == Access()


def test_xiaomis_block_overrides_the_android_one():
    push = Push(
        "t" * 60,
        "b" * 200,
        1,
        android={"sound": "android.resource://a", "click_action": "intent", "intent": "intent:#Intent;end"},
        vendors={"xiaomi": {"channel_id": "high"}},
        ext={"n": "&=你"},
        show_begin_time=int(NOW) + 60,
        show_end_time=int(NOW) + 3600,
    )
    found = sent(push)
    del found["notify_id"]
    assert found == {
        "registration_id": TOKEN,
        "pass_through": "0",
        "payload": '{"n":"&=你"}',
        "title": "t" * 48 + "…",
        "description": "b" * 126 + "…",
        "notify_type": "-1",
        "time_to_live": "3600000",
        "time_to_send": str((int(NOW) + 60) * 1000),
        "extra.channel_id": "high",
        "extra.sound_uri": "android.resource://a",
        "extra.notify_effect": "2",
        "extra.intent_uri": "intent:#Intent;end",
    }


def test_silent_pushes_and_data():
    silent = sent(Push("A", "B", 1, silent=True, android={"sound": "a"}))
    assert silent["notify_type"] == "0" and "extra.sound_uri" not in silent
    data = sent(Push("A", "B", 1, data_only=True))
    assert data == {"registration_id": TOKEN, "pass_through": "1", "payload": "{}", "time_to_live": "86400000"}
    assert xiaomi().request(TOKEN, Push("A", "B", 1, ext={"a": "x" * 4096}), "m", "", NOW) is TOO_LARGE


def answer(code, reason="", status=200, **data):
    found = {
        "result": "ok" if code == 0 else "error",
        "code": code,
        "description": "said",
        "reason": reason,
        "data": data,
    }
    return VendorAnswer(status, {}, json.dumps(found).encode())


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer(0, id="sdm1"), PushState.SENT),
        (answer(0, id="sdm1", bad_regids=TOKEN), PushState.GONE),
        (answer(20301, "No valid targets!"), PushState.GONE),
        (answer(20301, "something else"), PushState.REFUSED),
        (answer(66007), PushState.GONE),
        (answer(10002), PushState.LATER),
        (answer(200002), PushState.LATER),
        (answer(200001), PushState.REFUSED),
        (answer(21301), PushState.REFUSED),
        (VendorAnswer(401), PushState.REFUSED),
        (VendorAnswer(500), PushState.LATER),
        (VendorAnswer(200, {}, b'{"code":true}'), PushState.LATER),
    ],
)
def test_answers(given, state):
    found = xiaomi().outcome(given, NOW)
    assert found.state is state and (found.reason or state is PushState.SENT)


@pytest.mark.parametrize("token", [f"{TOKEN},{TOKEN}", "", "a b c d e f", TOKEN + "\n", "x" * 300])
def test_one_token_is_one_device(token):
    assert not Xiaomi.token.fullmatch(token) and Xiaomi.token.fullmatch(TOKEN)


@pytest.mark.parametrize("secret", ["", "two\r\nlines", "söme"])
def test_the_secret_is_needed_and_fits_into_a_header(secret):
    with pytest.raises(ConfigError, match="--secret-file"):
        Xiaomi(notifier_of("xiaomi"), Secret("", secret))
