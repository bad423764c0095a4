import json

import jwt
import msgspec
import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.apns import Apns
from lanying.push.vendors.exchange import TOO_LARGE, PushState, VendorAnswer
from tests.push.vendors.keys import APNS_TOKEN, NOW, PUSH, certificate, notifier_of, p256, pem_of, rsa_key, secret_of


def apns(**fields):
    return Apns(notifier_of("apns", **fields), secret_of("apns"))


def request(push=PUSH, collapse_id="m-1", access="jwt"):
    return apns().request(APNS_TOKEN, push, collapse_id, access, NOW)


def sent(push):
    return json.loads(request(push).body)


def test_a_message_is_an_alert_with_badge_and_sound():
    found = request()
    assert found.url == f"https://api.push.apple.com/3/device/{APNS_TOKEN}"
    assert found.headers == {
        "apns-topic": "com.example.app",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-expiration": str(int(NOW) + 86400),
        "apns-collapse-id": "m-1",
        "authorization": "bearer jwt",
    }
    assert json.loads(found.body) == {
        "aps": {"alert": {"title": "Alice", "body": "Hello, Bob! 你好"}, "badge": 3, "sound": "default"}
    }


def test_development_and_an_endpoint_go_elsewhere():
    assert apns(environment=0).url == "https://api.sandbox.push.apple.com"
    assert apns(environment=0, endpoint="https://proxy.example/apns/").url == "https://proxy.example/apns"


def test_the_ios_block_and_the_loc_key_are_mapped():
    ios = {
        "sound": "ding.caf",
        "content_available": True,
        "mutable_content": 1,
        "category": "CALL",
        "thread_id": "t7",
        "subtitle": "in Friends",
        "apns_collapse_id": "mine",
    }
    push = Push("A", "B", 0, loc_key="K", loc_args=["x"], ios=ios, ext={"roomId": "7"}, show_end_time=int(NOW) + 600)
    assert sent(push) == {
        "aps": {
            "alert": {"title": "A", "subtitle": "in Friends", "body": "B", "loc-key": "K", "loc-args": ["x"]},
            "badge": 0,
            "sound": "ding.caf",
            "content-available": 1,
            "mutable-content": 1,
            "category": "CALL",
            "thread-id": "t7",
        },
        "ext": {"roomId": "7"},
    }
    headers = request(push).headers
    assert headers["apns-collapse-id"] == "mine" and headers["apns-expiration"] == str(int(NOW) + 600)


def test_a_picture_is_for_the_applications_extension():
    found = sent(Push("A", "B", 1, image="https://example.com/1.png"))
    assert found["image"] == "https://example.com/1.png" and found["aps"]["mutable-content"] == 1


def test_a_silent_push_has_no_sound_and_data_alone_shows_nothing():
    assert "sound" not in sent(Push("A", "B", 1, silent=True, ios={"sound": "ding.caf"}))["aps"]
    data = request(Push("A", "B", 1, data_only=True, ext={"a": 1}))
    assert json.loads(data.body) == {"aps": {"content-available": 1}, "ext": {"a": 1}}
    assert (data.headers["apns-push-type"], data.headers["apns-priority"]) == ("background", "5")


@pytest.mark.parametrize("bad", ["a\r\nx: y", "é", "", "x" * 65, 7, None, ["x"]])
def test_what_users_write_never_breaks_a_header(bad):
    push = Push("A", "B", 1, ios={"apns_collapse_id": bad, "sound": bad, "category": bad, "subtitle": bad})
    assert request(push).headers["apns-collapse-id"] == "m-1"
    assert "apns-collapse-id" not in request(push, collapse_id="x" * 65).headers
    json.loads(request(push).body)


@pytest.mark.parametrize("letter", ["x", "好", "😀", '"', "\n"])
def test_a_long_body_is_shortened_to_what_apple_takes(letter):
    found = request(Push("A", letter * 4000, 1, loc_key="K" * 200))
    assert limits.VENDOR_PAYLOAD_BYTES - 12 <= len(found.body) <= limits.VENDOR_PAYLOAD_BYTES
    body = json.loads(found.body)["aps"]["alert"]["body"]
    assert body.endswith("…") and set(body[:-1]) == {letter}


def test_what_does_not_fit_without_its_body_is_no_request():
    assert request(Push("A", "B", 1, ext={"a": "x" * 4096})) is TOO_LARGE


def test_the_token_is_signed_and_renewed_before_apple_refuses_it():
    access = apns().login(NOW)
    claims = jwt.decode(access.token, p256().public_key(), ["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "TEAMID1234", "iat": int(NOW)}
    assert jwt.get_unverified_header(access.token) == {"alg": "ES256", "typ": "JWT", "kid": "KEYID12345"}
    assert 20 * 60 < access.until - NOW < 60 * 60


def test_a_certificate_stands_for_the_token():
    vendor = Apns(notifier_of("apns"), Secret(certificate=certificate()))
    assert vendor.certificate == certificate()
    assert vendor.login(NOW).token == ""
    assert "authorization" not in vendor.request(APNS_TOKEN, PUSH, "m", "", NOW).headers


@pytest.mark.parametrize(
    ("secret", "app_id", "complaint"),
    [
        (Secret("k", "t", pem_of(p256())), "", "--app-id"),
        (Secret("k", "t", pem_of(p256())), "com.example\r\nx", "--app-id"),
        (Secret("", "", pem_of(p256())), "com.example", "--app-key (key id) and --team-id"),
        (Secret("k", "t", ""), "com.example", "neither a .p8 key"),
        (Secret("k", "t", "nonsense"), "com.example", "neither a .p8 key"),
        (Secret("k", "t", pem_of(rsa_key())), "com.example", "no P-256"),
        (Secret(certificate=certificate().split("-----BEGIN PRIVATE")[0]), "com.example", "unencrypted key"),
        (
            Secret(certificate=certificate().split("-----BEGIN PRIVATE")[0] + pem_of(rsa_key())),
            "com.example",
            "another certificate",
        ),
    ],
)
def test_an_error_says_what_is_missing(secret, app_id, complaint):
    with pytest.raises(ConfigError) as caught:
        Apns(msgspec.structs.replace(notifier_of("apns"), app_id=app_id), secret)
    assert complaint in str(caught.value)


def answer(status, reason="", **headers):
    return VendorAnswer(status, headers, json.dumps({"reason": reason}).encode() if reason else b"")


@pytest.mark.parametrize(
    ("given", "state", "wait_s"),
    [
        (answer(200), PushState.SENT, 0),
        (answer(410, "Unregistered"), PushState.GONE, 0),
        (answer(410, "ExpiredToken"), PushState.GONE, 0),
        (answer(400, "BadDeviceToken"), PushState.GONE, 0),
        (answer(400, "DeviceTokenNotForTopic"), PushState.REFUSED, 0),
        (answer(403, "InvalidProviderToken"), PushState.REFUSED, 0),
        (answer(413, "PayloadTooLarge"), PushState.REFUSED, 0),
        (answer(429, "TooManyRequests"), PushState.LATER, limits.VENDOR_RETRY_S),
        (answer(429, "TooManyProviderTokenUpdates"), PushState.LATER, 1200),
        (answer(503, "ServiceUnavailable", **{"retry-after": "7"}), PushState.LATER, 7),
        (answer(500, "InternalServerError"), PushState.LATER, limits.VENDOR_RETRY_S),
        (VendorAnswer(200 + 102, {}, b"<html>"), PushState.REFUSED, 0),
    ],
)
def test_answers(given, state, wait_s):
    found = apns().outcome(given, NOW)
    assert (found.state, found.retry_after_s) == (state, wait_s)
    assert found.reason or state is PushState.SENT


def test_only_an_expired_token_is_renewed():
    assert apns().stale(answer(403, "ExpiredProviderToken"))
    assert not apns().stale(answer(403, "InvalidProviderToken"))
    assert not apns().stale(answer(200))


@pytest.mark.parametrize("token", ["", "0a", "0a" * 101, "zz" * 32, "../" + APNS_TOKEN, APNS_TOKEN + "\n", "é" * 64])
def test_only_hexadecimal_tokens_get_into_the_path(token):
    assert not Apns.token.fullmatch(token)


def test_tokens_of_any_length_apple_may_choose_do():
    assert Apns.token.fullmatch(APNS_TOKEN) and Apns.token.fullmatch("AB" * 80)


def test_too_many_requests_are_the_devices_and_too_many_tokens_are_ours():
    assert apns().outcome(answer(429, "TooManyRequests"), NOW).device
    assert not apns().outcome(answer(429, "TooManyProviderTokenUpdates"), NOW).device
    assert not apns().outcome(answer(503, "ServiceUnavailable"), NOW).device
