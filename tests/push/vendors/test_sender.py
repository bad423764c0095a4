"""The edge against a real server that plays the vendors."""

import asyncio
import contextlib
import socket

import msgspec
import pytest

from lanying.base import limits
from lanying.config.notifiers import Secret
from lanying.push.decision import Push
from lanying.push.vendors import PushOutcome, PushState, Vendors
from tests.push.vendors.keys import APNS_TOKEN, NOW, PUSH, TOKEN, account, certificate, target_of
from tests.push.vendors.play import NEVER, stage

FCM_TOKEN = "dA1_-x:APA91b" + "Z" * 130
OAUTH = "/oauth/token"
FCM = "/v1/projects/my-project/messages:send"
APNS = f"/3/device/{APNS_TOKEN}"


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs a conversation, ``async def conversation(play, vendors)``, against the server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    def run(conversation, strangers=True, **options):
        async def whole():
            async with stage(tmp_path, strangers) as playing, contextlib.aclosing(Closing(**options)) as vendors:
                await conversation(playing, vendors)

        asyncio.run(whole())

    return run


class Closing(Vendors):
    def __init__(self, **options):
        self.now = NOW
        super().__init__(clock=lambda: self.now, timeout_s=options.get("timeout_s", 30))

    async def aclose(self):
        await self.close()


def fcm(play):
    return target_of("fcm", FCM_TOKEN, Secret(certificate=account(token_uri=play.url + OAUTH)), endpoint=play.url)


def access(token, seconds=3600):
    return {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}


def bearers(play, path=FCM):
    return [headers["authorization"] for _version, asked, headers, _body in play.asked if asked == path]


def test_apple_is_spoken_to_over_one_http2_connection(play):
    async def conversation(play, vendors):
        play.on(APNS, {}, (410, {"reason": "Unregistered"}, {}))
        target = target_of("apns", APNS_TOKEN, endpoint=play.url)
        assert await vendors.send(target, PUSH, "m-1") == PushOutcome(PushState.SENT)
        assert await vendors.send(target, PUSH, "m-2") == PushOutcome(PushState.GONE, "Unregistered")
        (version, _path, first, body), (_, _, second, _) = play.asked
        assert version == "2" and first["apns-topic"] == "com.example.app" and "你好" in body.decode()
        assert first["authorization"] == second["authorization"]
        assert first["apns-collapse-id"] == "m-1"
        play.on(APNS, {})
        await asyncio.gather(*(vendors.send(target, PUSH, f"m{n}") for n in range(50)))
        assert len(play.ports) == 52 and len(set(play.ports)) == 1

    play(conversation)


def test_apple_gets_a_new_token_when_the_old_one_has_expired(play):
    async def conversation(play, vendors):
        expired = (403, {"reason": "ExpiredProviderToken"}, {})
        play.on(APNS, {}, expired, {}, expired)
        target = target_of("apns", APNS_TOKEN, endpoint=play.url)
        assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
        vendors.now += 1
        assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
        assert len(set(bearers(play, APNS))) == 2
        refused = await vendors.send(target, PUSH, "m")
        assert (refused.state, refused.reason) == (PushState.REFUSED, "ExpiredProviderToken")

    play(conversation)


def test_a_client_certificate_is_shown(play):
    async def conversation(play, vendors):
        play.on(APNS, {})
        target = target_of("apns", APNS_TOKEN, Secret(certificate=certificate()), endpoint=play.url)
        assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
        assert "authorization" not in play.asked[0][2]
        stranger = target_of("apns", APNS_TOKEN, endpoint=play.url, package="another.notifier")
        assert (await vendors.send(stranger, PUSH, "m")).state is PushState.LATER

    play(conversation, strangers=False)


def test_an_access_token_serves_until_shortly_before_it_runs_out(play):
    async def conversation(play, vendors):
        play.on(OAUTH, access("a", 1000), access("b", 1000))
        play.on(FCM, {"name": "1"})
        for _ in range(2):
            assert (await vendors.send(fcm(play), PUSH, "m")).state is PushState.SENT
        vendors.now += 901
        assert (await vendors.send(fcm(play), PUSH, "m")).state is PushState.SENT
        assert play.paths() == [OAUTH, FCM, FCM, OAUTH, FCM]
        assert bearers(play) == ["Bearer a", "Bearer a", "Bearer b"]

    play(conversation)


def test_many_pushes_at_once_log_in_once(play):
    async def conversation(play, vendors):
        play.on(OAUTH, access("a"))
        play.on(FCM, {"name": "1"})
        found = await asyncio.gather(*(vendors.send(fcm(play), PUSH, f"m{n}") for n in range(50)))
        assert {it.state for it in found} == {PushState.SENT}
        assert play.paths().count(OAUTH) == 1 and play.paths().count(FCM) == 50

    play(conversation)


def test_a_token_that_is_not_taken_is_renewed_once(play):
    async def conversation(play, vendors):
        play.on(OAUTH, access("a"), access("b"), access("c"))
        play.on(FCM, (401, {}, {}), {"name": "1"}, (401, {}, {}))
        assert (await vendors.send(fcm(play), PUSH, "m")).state is PushState.SENT
        assert bearers(play) == ["Bearer a", "Bearer b"]
        assert (await vendors.send(fcm(play), PUSH, "m")).state is PushState.REFUSED
        assert bearers(play)[2:] == ["Bearer b", "Bearer c"]

    play(conversation)


def test_a_refused_login_is_said_and_not_repeated_at_once(play):
    async def conversation(play, vendors):
        play.on(OAUTH, (401, {"error": "invalid_client"}, {}), access("a"))
        play.on(FCM, {"name": "1"})
        for _ in range(3):
            assert await vendors.send(fcm(play), PUSH, "m") == PushOutcome(
                PushState.REFUSED, "login refused: invalid_client"
            )
        assert play.paths() == [OAUTH]
        vendors.now += limits.VENDOR_LOGIN_AGAIN_S + 1
        assert (await vendors.send(fcm(play), PUSH, "m")).state is PushState.SENT

    play(conversation)


def test_too_many_requests_are_for_later(play):
    async def conversation(play, vendors):
        play.on(OAUTH, access("a"))
        play.on(FCM, (429, {"error": {"message": "slow down"}}, {"retry-after": "77"}))
        assert await vendors.send(fcm(play), PUSH, "m") == PushOutcome(PushState.LATER, "slow down", 77)

    play(conversation)


def test_a_slow_answer_and_an_endless_one_are_for_later(play):
    async def conversation(play, vendors):
        play.on(APNS, NEVER, b"x" * (limits.VENDOR_ANSWER_BYTES + 1))
        target = target_of("apns", APNS_TOKEN, endpoint=play.url)
        slow = await vendors.send(target, PUSH, "m")
        assert slow == PushOutcome(PushState.LATER, "TimeoutError: no answer within 2 s", limits.VENDOR_RETRY_S)
        endless = await vendors.send(target, PUSH, "m")
        assert endless.state is PushState.LATER and "more than 65536 bytes" in endless.reason
        # A connection that fell silent is given up: the next push has another one.
        assert len(set(play.ports)) == 2

    play(conversation, timeout_s=2)


def test_nobody_there_and_a_connection_that_dies_are_for_later(play):
    async def conversation(play, vendors):
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            free = nobody.getsockname()[1]
        gone = await vendors.send(target_of("apns", APNS_TOKEN, endpoint=f"http://127.0.0.1:{free}"), PUSH, "m")
        assert gone.state is PushState.LATER and gone.reason.startswith("ConnectError")

        async def die(_reader, writer):
            writer.close()

        async with await asyncio.start_server(die, "127.0.0.1", 0) as dying:
            port = dying.sockets[0].getsockname()[1]
            target = target_of("apns", APNS_TOKEN, endpoint=f"http://127.0.0.1:{port}")
            dead = await vendors.send(target, PUSH, "m")
        assert dead.state is PushState.LATER and dead.reason

    play(conversation)


def test_a_kept_connection_that_was_closed_costs_no_push(play):
    async def conversation(play, vendors):
        answer = b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"code":0}'
        connections = []

        async def once(reader, writer):
            """Answers the first request of a connection, and closes it at the second."""
            connections.append(writer)
            with contextlib.suppress(asyncio.IncompleteReadError):  # the other side has closed it first
                for part in (answer, b""):
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
                    writer.write(part)
            writer.close()

        async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = target_of("xiaomi", TOKEN, endpoint=f"http://127.0.0.1:{port}")
            for _ in range(2):
                assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
            assert len(connections) == 2
            await vendors.close()

    play(conversation)


def test_a_login_nobody_answers_keeps_other_pushes_from_waiting_for_it(play):
    async def conversation(play, vendors):
        play.on(OAUTH, NEVER)
        found = await asyncio.gather(*(vendors.send(fcm(play), PUSH, "m") for _ in range(5)))
        assert {it.state for it in found} == {PushState.LATER}
        assert play.paths() == [OAUTH]

    play(conversation, timeout_s=1)


def test_bad_tokens_notifiers_and_times_never_reach_the_vendor(play):
    async def conversation(play, vendors):
        bad = target_of("apns", "../secret", endpoint=play.url)
        assert (await vendors.send(bad, PUSH, "m")).state is PushState.GONE
        unfit = await vendors.send(target_of("fcm", FCM_TOKEN, Secret(), endpoint=play.url), PUSH, "m")
        assert unfit.state is PushState.REFUSED and "service account" in unfit.reason
        target = target_of("apns", APNS_TOKEN, endpoint=play.url)
        late = await vendors.send(target, Push("A", "B", 1, show_end_time=int(NOW)), "m")
        assert late == PushOutcome(PushState.REFUSED, "its show_end_time has passed")
        large = await vendors.send(target, Push("A", "B", 1, ext={"a": "x" * 5000}), "m")
        assert large.state is PushState.REFUSED and "more than this vendor takes" in large.reason
        assert play.asked == []

    play(conversation)


def test_a_changed_notifier_gets_a_line_of_its_own_and_the_old_one_ends_its_work(play):
    async def conversation(play, vendors):
        old = target_of("apns", APNS_TOKEN, endpoint=play.url)
        notifier = msgspec.structs.replace(old.notifier, secret="changed", app_id="com.example.new")
        new = msgspec.structs.replace(old, notifier=notifier)
        play.on(APNS, NEVER, {})
        waiting = asyncio.ensure_future(vendors.send(old, PUSH, "m"))
        while not play.asked:  # noqa: ASYNC110 - the server runs in this loop
            await asyncio.sleep(0)
        assert (await vendors.send(new, PUSH, "m")).state is PushState.SENT
        assert [headers["apns-topic"] for _v, _p, headers, _b in play.asked] == ["com.example.app", "com.example.new"]
        assert "no answer" in (await waiting).reason

    play(conversation, timeout_s=2)


HUAWEI = "/v1/1234567/messages:send"
OPPO = "/server/v1/message/notification/unicast"
OTHERS = {
    "huawei": ("/oauth2/v3/token", access("a"), HUAWEI, {"code": "80200003"}, {"code": "80000000"}),
    "vivo": ("/message/auth", {"result": 0, "authToken": "a"}, "/message/send", {"result": 10000}, {"result": 0}),
    "oppo": ("/server/v1/auth", {"code": 0, "data": {"auth_token": "a"}}, OPPO, {"code": 11}, {"code": 0}),
}


@pytest.mark.parametrize("vendor", OTHERS)
def test_the_others_log_in_and_renew_their_token_once(play, vendor):
    login, granted, path, stale, sent = OTHERS[vendor]

    async def conversation(play, vendors):
        play.on(login, granted)
        play.on(path, sent, stale, sent)
        target = target_of(vendor, TOKEN, endpoint=play.url, login_endpoint=play.url)
        for _ in range(2):
            assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
        assert play.paths() == [login, path, path, login, path]
        assert {version for version, *_ in play.asked} == {"1.1"}

    play(conversation)


@pytest.mark.parametrize(
    ("vendor", "path", "sent", "gone"),
    [
        ("xiaomi", "/v3/message/regid", {"code": 0}, {"code": 66007}),
        (
            "flyme",
            "/garcia/api/server/push/varnished/pushByPushId",
            {"code": "200", "value": {}},
            {"code": "200", "value": {"110003": [TOKEN]}},
        ),
    ],
)
def test_two_need_no_login(play, vendor, path, sent, gone):
    async def conversation(play, vendors):
        play.on(path, sent, gone, (401, {}, {}))
        target = target_of(vendor, TOKEN, endpoint=play.url)
        assert (await vendors.send(target, PUSH, "m")).state is PushState.SENT
        assert (await vendors.send(target, PUSH, "m")).state is PushState.GONE
        assert (await vendors.send(target, PUSH, "m")).state is PushState.REFUSED
        assert play.paths() == [path, path, path], "there is no token that could be renewed"

    play(conversation)
