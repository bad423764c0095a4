"""Conversations of ordinary clients through a real two-shard server, on both transports."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import pytest

from docs import try_it
from lanying.base import limits, tokens
from lanying.base.errors import LanyingError
from lanying.client import (
    CallError,
    Client,
    Closed,
    Connected,
    Disconnected,
    Event,
    Kicked,
    LoggedOut,
    LoginRefused,
    Message,
    Notice,
    Operation,
    Refused,
    Typing,
    outgoing,
)
from lanying.cluster.shardmap import ShardMap
from lanying.config.apps import App
from lanying.protocol.schema.xsync_pb2 import MessageOperation, Meta, RosterNotice, Status
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S

PASSWORD = "correct-horse1"
T = TypeVar("T")
Transport = Literal["xsync", "socketio"]
_numbers = itertools.count()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario()

    asyncio.run(bounded())


async def person(cluster: Cluster, shard: int | None = None) -> str:
    """Register somebody, on a certain shard if so wanted; the name."""
    shard_map = ShardMap.even(cluster.shards)
    while True:
        name = f"chat_{next(_numbers)}_{time.time_ns()}"
        if shard in (None, shard_map.shard_of_name("lanying", name)):
            await Client(cluster.url).register(name, PASSWORD)
            return name


async def enter(cluster: Cluster, name: str, **options: Any) -> Client:
    client = Client(cluster.url, **options)
    await client.login(name, PASSWORD)
    assert isinstance(await anext(client), Connected)
    return client


async def pair(cluster: Cluster, transport: Transport = "xsync") -> tuple[Client, Client]:
    """Alice and Bob on different shards."""
    alice = await enter(cluster, await person(cluster, 0), transport=transport)
    bob = await enter(cluster, await person(cluster, 1), transport=transport)
    return alice, bob


async def events(client: Client, kind: type[T], count: int) -> list[T]:
    """The next ``count`` events of a kind; others are skipped."""
    found: list[T] = []
    seen: list[Event] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                event = await anext(client)
                seen.append(event)
                if isinstance(event, kind):
                    found.append(event)
    except TimeoutError:
        raise AssertionError(f"{len(found)} of {count} {kind.__name__} came; the last events: {seen[-5:]}") from None
    return found


async def texts(client: Client, count: int) -> list[str]:
    return [message.text for message in await events(client, Message, count)]


@pytest.mark.parametrize("shards", [(0, 0), (0, 1), (1, 0)], ids=["same shard", "0 to 1", "1 to 0"])
@pytest.mark.parametrize(("one", "other"), [("xsync", "xsync"), ("socketio", "socketio"), ("xsync", "socketio")])
def test_messages_reach_every_device_in_order(
    cluster: Cluster, shards: tuple[int, int], one: Transport, other: Transport
) -> None:
    async def scenario() -> None:
        alice_name, bob_name = await person(cluster, shards[0]), await person(cluster, shards[1])
        phone, laptop = (
            await enter(cluster, alice_name, transport=one),
            await enter(cluster, alice_name, transport=other),
        )
        desk, tablet = await enter(cluster, bob_name, transport=other), await enter(cluster, bob_name, transport=one)
        assert phone.session and laptop.session
        assert phone.session.sn != laptop.session.sn
        sent = await asyncio.gather(*[phone.send_text(desk.uid, f"{n}") for n in range(100)])
        assert [s.mid for s in sent] == sorted({s.mid for s in sent})
        for device in (laptop, desk, tablet):
            messages = await events(device, Message, 100)
            assert [m.text for m in messages] == [f"{n}" for n in range(100)]
            assert [m.mid for m in messages] == [s.mid for s in sent]
        answer = await tablet.send_text(phone.uid, "back")
        for device in (phone, laptop, desk):
            (message,) = await events(device, Message, 1)
            assert (message.text, message.mid, message.sender) == ("back", answer.mid, tablet.uid)
        await asyncio.gather(*[device.close() for device in (phone, laptop, desk, tablet)])

    run(scenario)


@pytest.mark.parametrize("transport", ["xsync", "socketio"])
def test_somebody_who_was_away_finds_everything_and_a_new_device_finds_history(
    cluster: Cluster, transport: Transport
) -> None:
    async def scenario() -> None:
        alice, bob_name = await enter(cluster, await person(cluster, 0)), await person(cluster, 1)
        bob = await enter(cluster, bob_name, device_guid="desk", transport=transport)
        uid = bob.uid
        await bob.close()
        for number in range(250):
            await alice.send_text(uid, f"{number}")
        bob = await enter(cluster, bob_name, device_guid="desk", transport=transport)
        assert await texts(bob, 250) == [f"{number}" for number in range(250)]
        fresh = await enter(cluster, bob_name, transport=transport)
        page = await fresh.history(alice.uid)
        assert [m.text for m in page.messages] == [f"{n}" for n in range(249, 229, -1)]
        got: list[str] = []
        key = 0
        while (page := await fresh.history(alice.uid, key, 100)).messages:
            got += [m.text for m in page.messages]
            key = page.next_key
        assert got == [f"{n}" for n in range(249, -1, -1)]
        (entry,) = [c for c in await fresh.unread() if c.peer == alice.uid] or [None]
        assert entry is None or entry.pending == 0
        await asyncio.gather(alice.close(), bob.close(), fresh.close())

    run(scenario)


def test_typing_marks_edits_and_recalls(cluster: Cluster) -> None:
    async def scenario() -> None:
        alice, bob = await pair(cluster)
        await alice.send(outgoing.typing(bob.uid))
        assert await events(bob, Typing, 1) == [Typing(alice.uid, True)]
        sent = await alice.send_text(bob.uid, "hello", ext='{"a":1}')
        (message,) = await events(bob, Message, 1)
        assert message.ext == '{"a":1}'
        await bob.send(outgoing.read_ack(alice.uid, message.mid))
        (read,) = await events(alice, Operation, 1)
        assert (read.kind, read.target, read.peer) == (MessageOperation.READ_ACK, sent.mid, bob.uid)
        await alice.send(outgoing.append(bob.uid, sent.mid, ", Bob", ext='{"b":2}'))
        await alice.send(outgoing.append(bob.uid, sent.mid, "!"))
        assert [(o.kind, o.body.content) for o in await events(bob, Operation, 2)] == [
            (MessageOperation.APPEND, ", Bob"),
            (MessageOperation.APPEND, "!"),
        ]
        (kept,) = (await bob.history(alice.uid)).messages
        assert (kept.text, kept.ext, kept.read, kept.edited_ms > 0) == ("hello, Bob!", '{"a":1,"b":2}', True, True)
        await alice.send(outgoing.replace(bob.uid, sent.mid, "bye"))
        await alice.send(outgoing.recall(bob.uid, sent.mid))
        assert [o.kind for o in await events(bob, Operation, 2)] == [MessageOperation.REPLACE, MessageOperation.RECALL]
        assert (await bob.history(alice.uid)).messages == []
        with pytest.raises(Refused, match="no such message"):
            await alice.send(outgoing.recall(bob.uid, sent.mid))
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


def test_friends_are_made_with_notices(cluster: Cluster) -> None:
    async def scenario() -> None:
        alice, bob = await pair(cluster)
        await alice.rest("POST", "/roster/apply", user_id=bob.uid, alias="")
        (applied,) = await events(bob, Notice, 1)
        assert applied.ns == Meta.ROSTER_NOTICE
        assert RosterNotice.FromString(applied.meta.payload).type == RosterNotice.APPLIED
        await bob.rest("POST", "/roster/accept", user_id=alice.uid)
        for client, friend in ((alice, bob), (bob, alice)):
            (accepted,) = await events(client, Notice, 1)
            assert RosterNotice.FromString(accepted.meta.payload).type == RosterNotice.ACCEPTED
            assert await client.rest("GET", "/roster/list") == [friend.uid]
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


# --- refusals and ends ------------------------------------------------------------------------------------------------


def test_refused_sends_say_why(cluster: Cluster) -> None:
    async def scenario() -> None:
        alice, bob = await pair(cluster)
        with pytest.raises(Refused, match="the recipient does not exist"):
            await alice.send_text(1, "to nobody")
        await bob.rest("POST", "/roster/block", user_id=alice.uid)
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE_S):  # the block travels to Alice's shard by itself
            while not seen:
                try:
                    await alice.send_text(bob.uid, "let me in")
                except Refused as error:
                    seen.append(error.reason)
        assert seen == ["you have been blocked by the recipient"]
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


@pytest.mark.parametrize("transport", ["xsync", "socketio"])
def test_the_same_device_again_ends_the_first_one(cluster: Cluster, transport: Transport) -> None:
    async def scenario() -> None:
        name = await person(cluster)
        old = await enter(cluster, name, device_guid="tab", transport=transport)
        new = await enter(cluster, name, device_guid="tab", transport=transport)
        assert old.session and new.session
        assert old.session.sn == new.session.sn
        assert await events(old, Kicked, 1) == [Kicked(4)]
        with pytest.raises(LoggedOut, match="KICK_BY_SAME_DEVICE"):
            await anext(old)
        with pytest.raises(LoggedOut):
            await old.send_text(new.uid, "x")
        await new.send_text(new.uid, "still here")
        await asyncio.gather(old.close(), new.close())

    run(scenario)


def test_a_kick_and_a_password_change_end_other_devices(cluster: Cluster) -> None:
    async def scenario() -> None:
        name = await person(cluster)
        phone, laptop, tablet = [await enter(cluster, name) for _ in range(3)]
        assert laptop.session
        await phone.rest("POST", "/user/kick", device_sn=laptop.session.sn)
        assert await events(laptop, Kicked, 1) == [Kicked(5)]
        await phone.rest("POST", "/user/change_password", old_password=PASSWORD, new_password="wrong-donkey2")
        assert await events(tablet, Kicked, 1) == [Kicked(1)]
        with pytest.raises(LoginRefused):
            await Client(cluster.url).login_with_token(phone.uid, laptop.session.token)
        with pytest.raises(CallError):
            await Client(cluster.url).login(name, PASSWORD)
        await asyncio.gather(*[client.close() for client in (phone, laptop, tablet)])

    run(scenario)


def test_expired_and_foreign_tokens_are_refused(cluster: Cluster) -> None:
    async def scenario() -> None:
        client = await enter(cluster, await person(cluster))
        uid = client.uid
        (app,) = msgspec.json.decode((cluster.data / "apps.json").read_bytes(), type=tuple[App, ...])
        expired = tokens.issue(app.secret, tokens.Identity("lanying", uid, tokens.ROLE_USER, 0, int(time.time()) - 1))
        other = await enter(cluster, await person(cluster))
        assert other.session
        for token, text in ((expired, "token expired"), (other.session.token, "token of another user")):
            with pytest.raises(LoginRefused, match=text) as refused:
                await Client(cluster.url).login_with_token(uid, token)
            assert refused.value.code == Status.INVALID_TOKEN
        await asyncio.gather(client.close(), other.close())

    run(scenario)


def test_rest_errors_have_their_code(cluster: Cluster) -> None:
    async def scenario() -> None:
        name = await person(cluster)
        for call, code in (
            (Client(cluster.url).register(name, PASSWORD), 10004),
            (Client(cluster.url).login(name, "wrong-password1"), 11001),
            (Client("http://127.0.0.1:9").login(name, PASSWORD), 503),
        ):
            with pytest.raises(CallError) as refused:
                await call
            assert refused.value.code == code, refused.value
        with pytest.raises(CallError):
            await Client(cluster.url, app_id="nobody").login(name, PASSWORD)
        with pytest.raises(LanyingError, match="log in first"):
            await Client(cluster.url).send_text(1, "x")

    run(scenario)


# --- the client itself --------------------------------------------------------------------------------------------------


def test_an_application_that_takes_no_events_can_send_and_loses_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLIENT_EVENTS", 50)

    async def scenario() -> None:
        alice, bob = await pair(cluster)
        for start in range(0, 600, 100):
            await asyncio.gather(*[alice.send_text(bob.uid, f"{n}") for n in range(start, start + 100)])
        await bob.send_text(alice.uid, "I am busy")
        assert await texts(alice, 1) == ["I am busy"]
        assert len(bob._events) <= 50 + limits.BATCH_METAS, "the server was stopped"
        assert await texts(bob, 600) == [f"{n}" for n in range(600)]
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


def test_more_sends_at_once_than_may_be_unanswered_wait_their_turn(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CLIENT_UNANSWERED", 20)

    async def scenario() -> None:
        alice, bob = await pair(cluster)
        await asyncio.gather(*[alice.send_text(bob.uid, f"{n}") for n in range(300)])
        assert sorted(map(int, await texts(bob, 300))) == list(range(300))
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


def test_a_broken_connection_is_made_again_and_what_waits_goes_through(cluster: Cluster) -> None:
    async def scenario() -> None:
        alice, bob = await pair(cluster)
        for number in range(3):
            for client in (alice, bob):
                assert client._transport
                client._transport.abort()
            await alice.send_text(bob.uid, f"{number}")
            assert await events(alice, Disconnected, 1)
            assert await texts(bob, 1) == [f"{number}"]
        await asyncio.gather(alice.close(), bob.close())

    run(scenario)


def test_close_ends_what_waits(cluster: Cluster) -> None:
    async def scenario() -> None:
        alice, _ = await pair(cluster)
        reader = asyncio.create_task(anext(alice, None))
        await asyncio.sleep(0)
        await alice.close()
        assert await reader is None
        with pytest.raises(Closed):
            await alice.send_text(1, "x")
        await alice.close()

    run(scenario)


def test_a_stored_device_is_the_same_device(cluster: Cluster, tmp_path: Path) -> None:
    async def scenario() -> None:
        name = await person(cluster)
        numbers = []
        for _ in range(2):
            client = await enter(cluster, name, store=tmp_path / "state" / "device")
            assert client.session
            numbers.append(client.session.sn)
            await client.close()
        assert numbers[0] == numbers[1]
        assert (tmp_path / "state" / "device").stat().st_mode & 0o777 == 0o600

    run(scenario)


def test_the_example_prints_the_message(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(try_it.main(cluster.url))
    assert capsys.readouterr().out == "bob received: Hello, Bob!\n"
