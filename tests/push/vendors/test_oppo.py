import hashlib
import json
from urllib.parse import parse_qs

import pytest

from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import NO_DATA, TOO_LARGE, Access, PushState, VendorAnswer
from lanying.push.vendors.oppo import Oppo
from tests.push.vendors.keys import NOW, PUSH, TOKEN, notifier_of, secret_of


def oppo(**options):
    return Oppo(notifier_of("oppo", **options), secret_of("oppo"))


def form(request):
    return {name: value for name, (value,) in parse_qs(request.body.decode()).items()}


def shown(push):
    return json.loads(form(oppo().request(TOKEN, push, "m-1", "access", NOW))["message"])["notification"]


def test_a_message_is_a_form_with_the_token_in_it():
    found = oppo().request(TOKEN, PUSH, "m-1", "access", NOW)
    assert found.url == "https://api.push.oppomobile.com/server/v1/message/notification/unicast"
    fields = form(found)
    message = json.loads(fields["message"])
    assert fields["auth_token"] == "access"
    assert (message["target_type"], message["target_value"]) == (2, TOKEN)
    assert len(message["notification"].pop("app_message_id")) == 32
    assert message["notification"] == {
        "style": 1,
        "title": "Alice",
        "content": "Hello, Bob! 你好",
        "click_action_type": 0,
        "off_line": True,
        "off_line_ttl": 86400,
    }


def test_oppos_block_overrides_the_android_one():
    push = Push(
        "t" * 60,
        "b" * 200,
        1,
        android={"channel_id": "a", "click_action": "intent", "intent": "com.example.CHAT"},
        vendors={"oppo": {"channel_id": "o"}},
        ext={"n": 1},
        show_begin_time=int(NOW) + 60,
        show_end_time=int(NOW) + 120,
    )
    found = shown(push)
    del found["app_message_id"]
    assert found == {
        "style": 2,
        "title": "t" * 49 + "…",
        "content": "b" * 127 + "…",
        "click_action_type": 1,
        "click_action_activity": "com.example.CHAT",
        "action_parameters": '{"n":1}',
        "off_line": True,
        "off_line_ttl": 3600,
        "channel_id": "o",
        "show_time_type": 1,
        "show_start_time": (int(NOW) + 60) * 1000,
        "show_end_time": (int(NOW) + 120) * 1000,
    }
    scheme = shown(Push("A", "B", 1, android={"click_action": "intent", "intent": "app://chat/1"}))
    assert (scheme["click_action_type"], scheme["click_action_url"]) == (5, "app://chat/1")
    assert shown(Push("A", "B", 1, android={"click_action": "open_app", "intent": "x"}))["click_action_type"] == 0


def test_the_same_message_to_two_devices_is_not_a_repetition():
    requests = [oppo().request(token, PUSH, "m-1", "a", NOW) for token in (TOKEN, TOKEN, TOKEN + "0")]
    first, again, other = [json.loads(form(it)["message"])["notification"]["app_message_id"] for it in requests]
    assert first == again != other


def test_there_is_nothing_for_applications_alone():
    assert oppo().request(TOKEN, Push("A", "B", 1, data_only=True), "m", "a", NOW) is NO_DATA
    assert oppo().request(TOKEN, Push("A", "B", 1, ext={"a": "x" * 4096}), "m", "a", NOW) is TOO_LARGE


def test_the_login_is_signed():
    found = oppo().login(NOW)
    assert found.url == "https://api.push.oppomobile.com/server/v1/auth"
    at = str(int(NOW) * 1000)
    signed = hashlib.sha256(f"key{at}secret".encode()).hexdigest()
    assert form(found) == {"app_key": "key", "timestamp": at, "sign": signed}
    granted = VendorAnswer(200, {}, b'{"code":0,"message":"Success","data":{"auth_token":"a","create_time":1}}')
    assert oppo().access(granted, NOW) == Access("a", NOW + 72000)
    refused = oppo().access(VendorAnswer(200, {}, b'{"code":14,"message":"Invalid App Key"}'), NOW)
    assert (refused.state, refused.reason) == (PushState.REFUSED, "login refused: Invalid App Key")
    with pytest.raises(ConfigError, match=r"--app-key and --secret-file \(master secret\)"):
        Oppo(notifier_of("oppo"), Secret())


def answer(code, status=200):
    return VendorAnswer(status, {}, json.dumps({"code": code, "message": "said", "data": {}}).encode())


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer(0), PushState.SENT),
        (answer(10000), PushState.GONE),
        (answer(-1), PushState.LATER),
        (answer(-2), PushState.LATER),
        (answer(13), PushState.LATER),
        (answer(33), PushState.REFUSED),
        (answer(41), PushState.REFUSED),
        (VendorAnswer(503), PushState.LATER),
    ],
)
def test_answers(given, state):
    found = oppo().outcome(given, NOW)
    assert found.state is state and (found.reason or state is PushState.SENT)


def test_an_expired_token_is_renewed():
    assert oppo().stale(answer(11)) and oppo().stale(answer(29)) and not oppo().stale(answer(0))
