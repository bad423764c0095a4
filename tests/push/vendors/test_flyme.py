import hashlib
import json
from urllib.parse import parse_qs

import pytest

from lanying.push.decision import Push
from lanying.push.vendors.exchange import TOO_LARGE, PushState, VendorAnswer
from lanying.push.vendors.flyme import Flyme, sign
from tests.push.vendors.keys import NOW, PUSH, TOKEN, notifier_of, secret_of


def flyme():
    return Flyme(notifier_of("flyme"), secret_of("flyme"))


def form(push):
    return {
        name: value for name, (value,) in parse_qs(flyme().request(TOKEN, push, "m", "", NOW).body.decode()).items()
    }


def sent(push):
    return json.loads(form(push)["messageJson"])


def test_a_message_is_a_signed_form():
    found = flyme().request(TOKEN, PUSH, "m", "", NOW)
    assert found.url == "https://server-api-push.meizu.com/garcia/api/server/push/varnished/pushByPushId"
    fields = form(PUSH)
    content = fields["messageJson"]
    assert json.loads(content) == {
        "noticeBarInfo": {"title": "Alice", "content": "Hello, Bob! 你好"},
        "clickTypeInfo": {"clickType": 0},
        "pushTimeInfo": {"offLine": 1, "validTime": 24},
    }
    signed = f"appId=1234567messageJson={content}pushIds={TOKEN}secret"
    assert fields == {
        "appId": "1234567",
        "pushIds": TOKEN,
        "messageJson": content,
        "sign": hashlib.md5(signed.encode()).hexdigest(),
    }


def test_the_example_of_the_documentation():
    assert sign({"k2": "v2", "k1": "v1", "k3": "v3"}, "") == hashlib.md5(b"k1=v1k2=v2k3=v3").hexdigest()


def test_blocks_silence_times_and_long_texts():
    push = Push(
        "t" * 40,
        "b" * 300,
        1,
        silent=True,
        android={"click_action": "intent", "intent": "com.example.Chat"},
        ext={"n": 1},
        show_begin_time=int(NOW) + 60,
        show_end_time=int(NOW) + 7200,
    )
    assert sent(push) == {
        "noticeBarInfo": {"title": "t" * 31 + "…", "content": "b" * 99 + "…"},
        "noticeExpandInfo": {"noticeExpandType": 1, "noticeExpandContent": "b" * 300},
        "clickTypeInfo": {"clickType": 1, "activity": "com.example.Chat", "parameters": {"n": 1}},
        "pushTimeInfo": {"offLine": 1, "validTime": 2},
        "advanceInfo": {
            "notificationType": {"vibrate": 0, "lights": 0, "sound": 0},
            "isFixDisplay": 1,
            "fixStartDisplayTime": "2023-11-15 06:14:20",
            "fixEndDisplayTime": "2023-11-15 08:13:20",
        },
    }


def test_data_goes_to_the_application():
    data = Push("A", "B", 1, data_only=True, ext={"n": 1})
    assert flyme().request(TOKEN, data, "m", "", NOW).url.endswith("/unvarnished/pushByPushId")
    assert sent(data) == {"content": '{"n":1}', "pushTimeInfo": {"offLine": 1, "validTime": 24}}
    assert flyme().request(TOKEN, Push("A", "B", 1, ext={"a": "x" * 2000}), "m", "", NOW) is TOO_LARGE


def answer(code, value=None, status=200):
    return VendorAnswer(
        status, {}, json.dumps({"code": code, "message": "said", "value": value, "redirect": ""}).encode()
    )


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer("200", {}), PushState.SENT),
        (answer(200, ""), PushState.SENT),
        (answer("200", {"110002": [TOKEN]}), PushState.GONE),
        (answer("200", {"110003": [TOKEN]}), PushState.GONE),
        (answer("200", {"518": [TOKEN]}), PushState.LATER),
        (answer("200", {"520": [TOKEN]}), PushState.REFUSED),
        (answer("110010", ""), PushState.LATER),
        (answer("1003", ""), PushState.LATER),
        (answer("1006", ""), PushState.REFUSED),
        (VendorAnswer(502, {}, b"<html>"), PushState.LATER),
    ],
)
def test_answers(given, state):
    found = flyme().outcome(given, NOW)
    assert found.state is state and (found.reason or state is PushState.SENT)


def test_one_token_is_one_device():
    assert not Flyme.token.fullmatch(f"{TOKEN},{TOKEN}") and Flyme.token.fullmatch(TOKEN)
