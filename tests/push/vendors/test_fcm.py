import json
from urllib.parse import parse_qs

import jwt
import pytest

from lanying.base import limits
from lanying.base.errors import ConfigError
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors.exchange import TOO_LARGE, Access, PushState, VendorAnswer
from lanying.push.vendors.fcm import Fcm
from tests.push.vendors.keys import NOW, PUSH, account, notifier_of, p256, pem_of, rsa_key, secret_of

TOKEN = "dA1_-x:APA91b" + "Z" * 130


def fcm(**fields):
    return Fcm(notifier_of("fcm", **fields), secret_of("fcm"))


def request(push=PUSH):
    return fcm().request(TOKEN, push, "m-1", "access", NOW)


def sent(push):
    return json.loads(request(push).body)["message"]


def test_a_message_is_a_notification_for_its_project():
    found = request()
    assert found.url == "https://fcm.googleapis.com/v1/projects/my-project/messages:send"
    assert found.headers == {"content-type": "application/json", "authorization": "Bearer access"}
    assert json.loads(found.body) == {
        "message": {
            "token": TOKEN,
            "notification": {"title": "Alice", "body": "Hello, Bob! 你好"},
            "android": {
                "priority": "HIGH",
                "ttl": "86400s",
                "notification": {"tag": "m-1", "notification_count": 3, "default_sound": True},
            },
        }
    }


def test_googles_block_overrides_the_android_one():
    push = Push(
        "A",
        "B",
        0,
        loc_key="K",
        loc_args=["x"],
        android={"sound": "a", "channel_id": "c", "click_action": "intent", "intent": "OPEN_CHAT"},
        vendors={"fcm": {"sound": "f"}, "vivo": {"sound": "v"}},
        ext={"n": 1},
        show_end_time=int(NOW) + 90,
    )
    assert sent(push) == {
        "token": TOKEN,
        "notification": {"title": "A", "body": "B"},
        "data": {"ext": '{"n":1}'},
        "android": {
            "priority": "HIGH",
            "ttl": "90s",
            "notification": {
                "tag": "m-1",
                "sound": "f",
                "channel_id": "c",
                "click_action": "OPEN_CHAT",
                "body_loc_key": "K",
                "body_loc_args": ["x"],
            },
        },
    }


def test_a_picture_is_shown():
    assert sent(Push("A", "B", 1, image="https://e.com/1.png"))["notification"]["image"] == "https://e.com/1.png"


def test_silent_pushes_and_data():
    shown = sent(Push("A", "B", 1, silent=True, android={"sound": "a"}))["android"]["notification"]
    assert shown == {"tag": "m-1", "notification_count": 1, "notification_priority": "PRIORITY_LOW"}
    assert sent(Push("A", "B", 1, data_only=True, ext={"n": 1})) == {
        "token": TOKEN,
        "data": {"ext": '{"n":1}'},
        "android": {"priority": "HIGH", "ttl": "86400s"},
    }


def test_a_long_body_is_shortened_so_that_all_but_the_token_fits():
    found = sent(Push("A", "好" * 4000, 1))
    assert found["notification"]["body"].endswith("好…")
    del found["token"]
    assert len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()) <= limits.VENDOR_PAYLOAD_BYTES
    assert request(Push("A", "B", 1, ext={"a": "x" * 4096})) is TOO_LARGE


def test_the_login_is_signed_by_the_service_account():
    found = fcm().login(NOW)
    assert found.url == "https://oauth2.googleapis.com/token"
    form = parse_qs(found.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = form["assertion"]
    claims = jwt.decode(
        assertion,
        rsa_key().public_key(),
        ["RS256"],
        audience=found.url,
        options={"verify_iat": False, "verify_exp": False},
    )
    assert claims == {
        "iss": "push@my-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": found.url,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    assert jwt.get_unverified_header(assertion)["kid"] == "k1"
    assert fcm(login_endpoint="https://proxy.example/g").login(NOW).url == "https://proxy.example/g/token"


def test_the_access_token_is_renewed_before_it_runs_out():
    assert fcm().access(VendorAnswer(200, {}, b'{"access_token":"t","expires_in":3599}'), NOW) == Access(
        "t", NOW + 3599 * 0.9
    )
    refused = fcm().access(
        VendorAnswer(400, {}, b'{"error":"invalid_grant","error_description":"no such account"}'), NOW
    )
    assert (refused.state, refused.reason) == (PushState.REFUSED, "login refused: no such account")
    assert fcm().access(VendorAnswer(503), NOW).state is PushState.LATER
    assert fcm().access(VendorAnswer(200, {}, b"[]"), NOW).state is PushState.REFUSED


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("", "service account's JSON file"),
        ("{}", "missing required field `project_id`"),
        (account(client_email=None), "missing required field `client_email`"),
        (account(project_id="a/../b"), "project_id"),
        (account(token_uri="nowhere"), "token_uri"),
        (account(private_key="x"), "is no key"),
        (account(private_key=pem_of(p256())), "no RSA key"),
    ],
)
def test_an_error_says_what_is_missing(file, complaint):
    with pytest.raises(ConfigError) as caught:
        Fcm(notifier_of("fcm"), Secret(certificate=file))
    assert complaint in str(caught.value)


def answer(status, code="", message="", google_status="", **headers):
    error = {"code": status, "message": message, "status": google_status}
    if code:
        error["details"] = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    return VendorAnswer(status, headers, json.dumps({"error": error}).encode())


BAD_FIELD = {
    "error": {
        "status": "INVALID_ARGUMENT",
        "message": "Request contains an invalid argument.",
        "details": [{"errorCode": "INVALID_ARGUMENT"}, {"fieldViolations": [{"field": "message.token"}]}],
    }
}


@pytest.mark.parametrize(
    ("given", "state", "wait_s"),
    [
        (VendorAnswer(200, {}, b'{"name":"projects/p/messages/1"}'), PushState.SENT, 0),
        (answer(404, "UNREGISTERED"), PushState.GONE, 0),
        (
            answer(400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"),
            PushState.GONE,
            0,
        ),
        (VendorAnswer(400, {}, json.dumps(BAD_FIELD).encode()), PushState.GONE, 0),
        (answer(400, "INVALID_ARGUMENT", "Invalid value at 'message.data[0].value'"), PushState.REFUSED, 0),
        (answer(403, "SENDER_ID_MISMATCH"), PushState.REFUSED, 0),
        (answer(404, google_status="NOT_FOUND"), PushState.REFUSED, 0),
        (answer(401, "THIRD_PARTY_AUTH_ERROR"), PushState.REFUSED, 0),
        (answer(429, "QUOTA_EXCEEDED"), PushState.LATER, 60),
        (answer(429, "QUOTA_EXCEEDED", **{"retry-after": "90"}), PushState.LATER, 90),
        (answer(503, "UNAVAILABLE", **{"retry-after": "Tue, 14 Nov 2023 22:15:00 GMT"}), PushState.LATER, 100),
        (answer(500, "INTERNAL", **{"retry-after": "soon"}), PushState.LATER, limits.VENDOR_RETRY_S),
        (answer(503, **{"retry-after": "999999999"}), PushState.LATER, 3600),
        (VendorAnswer(502, {}, b"<html>"), PushState.LATER, limits.VENDOR_RETRY_S),
        (VendorAnswer(400, {}, b'{"error":"text"}'), PushState.REFUSED, 0),
    ],
)
def test_answers(given, state, wait_s):
    found = fcm().outcome(given, NOW)
    assert (found.state, found.retry_after_s) == (state, wait_s)
    assert found.reason or state is PushState.SENT


def test_a_new_token_helps_only_against_our_own_being_refused():
    assert fcm().stale(answer(401, google_status="UNAUTHENTICATED"))
    assert not fcm().stale(answer(401, "THIRD_PARTY_AUTH_ERROR"))


@pytest.mark.parametrize("token", ["", "short", "a b" * 20, "x" * 5000, TOKEN + "\n", "好" * 100])
def test_tokens_that_are_none(token):
    assert not Fcm.token.fullmatch(token) and Fcm.token.fullmatch(TOKEN)


def test_a_quota_is_the_devices():
    assert fcm().outcome(answer(429, "QUOTA_EXCEEDED"), NOW).device
    assert not fcm().outcome(answer(503, "UNAVAILABLE"), NOW).device
