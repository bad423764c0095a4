import hashlib
import json

import pytest

from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import NO_DATA, TOO_LARGE, Access, PushState, VendorAnswer
from lanying.push.vendors.payload import shorten_wide
from lanying.push.vendors.vivo import Vivo
from tests.push.vendors.keys import NOW, PUSH, TOKEN, notifier_of, secret_of


def vivo(**options):
    return Vivo(notifier_of("vivo", **options), secret_of("vivo"))


def sent(push, collapse_id="m-1", **options):
    return json.loads(vivo(**options).request(TOKEN, push, collapse_id, "access", NOW).body)


def test_a_message_is_a_system_message_of_category_im():
    found = vivo().request(TOKEN, PUSH, "m-1", "access", NOW)
    assert found.url == "https://api-push.vivo.com.cn/message/send"
    assert found.headers == {"content-type": "application/json", "authToken": "access"}
    body = json.loads(found.body)
    assert len(body.pop("requestId")) == 32
    assert body == {
        "appId": 1234567,
        "regId": TOKEN,
        "notifyType": 4,
        "title": "Alice",
        "content": "Hello, Bob! 你好",
        "timeToLive": 86400,
        "skipType": 1,
        "pushMode": 0,
        "classification": 1,
        "category": "IM",
    }


def test_a_repetition_has_the_same_request_id_another_push_has_not():
    assert sent(PUSH)["requestId"] == sent(PUSH)["requestId"] != sent(PUSH, "m-2")["requestId"]


def test_vivos_block_overrides_the_android_one():
    push = Push(
        "A",
        "B",
        1,
        silent=True,
        android={"click_action": "intent", "intent": "intent://x"},
        vendors={"vivo": {"push_mode": "1", "classification": 0}},
        ext={"n": 1},
    )
    found = sent(push)
    assert (found["notifyType"], found["pushMode"], found["classification"]) == (1, 1, 0)
    assert (found["skipType"], found["skipContent"]) == (4, "intent://x")
    assert found["clientCustomMap"] == {"ext": '{"n":1}'} and "category" not in found
    assert sent(PUSH, environment=0)["pushMode"] == 1
    odd = sent(Push("A", "B", 1, vendors={"vivo": {"push_mode": True, "classification": [1]}}))
    assert (odd["pushMode"], odd["classification"]) == (0, 1)


def test_texts_are_shortened_to_columns():
    found = sent(Push("好" * 30, "好b" * 60, 1))
    assert found["title"] == "好" * 19 + "…" and found["content"].endswith("…")
    assert shorten_wide("好" * 20, 40) == "好" * 20 and shorten_wide("", 40) == ""
    assert shorten_wide("a" * 41, 40) == "a" * 38 + "…"


def test_there_is_nothing_for_applications_alone():
    assert vivo().request(TOKEN, Push("A", "B", 1, data_only=True), "m", "a", NOW) is NO_DATA
    assert vivo().request(TOKEN, Push("A", "B", 1, ext={"a": "x" * 4096}), "m", "a", NOW) is TOO_LARGE


def test_the_login_is_signed():
    found = vivo(endpoint="https://proxy.example").login(NOW)
    assert found.url == "https://proxy.example/message/auth"
    at = int(NOW) * 1000
    assert json.loads(found.body) == {
        "appId": 1234567,
        "appKey": "key",
        "timestamp": at,
        "sign": hashlib.md5(f"1234567key{at}secret".encode()).hexdigest(),
    }
    granted = VendorAnswer(200, {}, b'{"result":0,"desc":"ok","authToken":"a"}')
    assert vivo().access(granted, NOW) == Access("a", NOW + 7200)
    refused = vivo().access(VendorAnswer(200, {}, '{"result":10206,"desc":"sign 不正确"}'.encode()), NOW)
    assert (refused.state, refused.reason) == (PushState.REFUSED, "login refused: sign 不正确")


def answer(result, status=200, **more):
    return VendorAnswer(status, {}, json.dumps({"result": result, "desc": "said"} | more).encode())


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer(0, taskId="1"), PushState.SENT),
        (answer(0, invalidUser={"status": 2, "userid": TOKEN}), PushState.GONE),
        (answer(10302), PushState.GONE),
        (answer(10072), PushState.LATER),
        (answer(10070), PushState.REFUSED),
        (answer(10056), PushState.REFUSED),
        (VendorAnswer(500, {}, b"Internet server error!"), PushState.LATER),
    ],
)
def test_answers(given, state):
    found = vivo().outcome(given, NOW)
    assert found.state is state and (found.reason or state is PushState.SENT)


def test_an_expired_token_is_renewed():
    assert vivo().stale(answer(10000)) and not vivo().stale(answer(10302))


@pytest.mark.parametrize("app_id", ["x", "1/2"])
def test_an_error_says_what_is_missing(app_id):
    with pytest.raises(ConfigError, match="number"):
        vivo(app_id=app_id)
    with pytest.raises(ConfigError, match="--app-key and --secret-file"):
        Vivo(notifier_of("vivo"), Secret())
