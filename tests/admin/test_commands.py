"""Every command of the table against a live server of two shards, in the order an operator might meet them."""

import asyncio
import inspect
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lanying.admin.commands.table import COMMANDS, TABLE
from lanying.admin.console.client import Address, Console
from lanying.admin.errors import CommandError
from lanying.admin.keys import Role
from lanying.client import Client, LoggedOut, LoginRefused, Message, outgoing
from lanying.testing.poll import PATIENCE_S, until

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
PASSWORD = "correct-horse1"
tested = set()


@pytest.fixture
def run(console):
    def run(command, dry=False, **arguments):
        tested.add(command)
        return console.run(command, arguments, dry=dry, limit=1000, timeout_s=60).value

    return run


def name(prefix):
    return f"{prefix}_{secrets.token_hex(4)}"


def refused(run, code, command, **arguments):
    with pytest.raises(CommandError) as caught:
        run(command, **arguments)
    assert caught.value.code == code, caught.value
    return caught.value.message


def test_status_and_shards(run):
    status = run("status")
    assert [row["name"] for row in status["processes"]] == ["shard-0", "shard-1", "gateway", "admin", "router"]
    assert all(row["state"] == "ready" and row["rss_bytes"] > 1 << 20 for row in status["processes"])
    rows = run("shards list")
    assert [row["slots"] for row in rows] == [512, 512]


def test_doctor_names_checks_with_remedies(run):
    rows = run("doctor")
    assert {"processes", "open files", "clock", "disk space", "disk speed"} <= {row["check"] for row in rows}
    assert all(row["remedy"] for row in rows if row["state"] == "bad"), rows


def test_the_life_of_a_user(run):
    who = name("dora")
    assert run("users create", dry=True, username=who, password=PASSWORD) == {
        "would": f"create the user {who} in app lanying"
    }
    refused(run, 10000, "users show", user=who)
    uid = run("users create", username=who, password=PASSWORD)["uid"]
    assert refused(run, 10004, "users create", username=who, password=PASSWORD)
    assert refused(run, 10002, "users create", username=name("x"), password="1")
    assert run("users show", user=who)["uid"] == run("users show", user=str(uid))["uid"] == uid
    assert run("users devices", user=who) == []
    assert run("users kick", user=who)["sessions_closed"] == 0
    assert "has no device 999; `users devices`" in refused(run, 404, "users kick", user=who, device=999)
    assert run("users password", user=who, password="other-horse2") == f"{who} has a new password"
    assert run("users ban", user=who)["state"] == "banned"
    assert refused(run, 10010, "tokens issue", user=who)
    assert run("users restore", user=who)["state"] == "normal"
    assert run("users freeze", user=who)["state"] == "frozen"
    assert "is frozen and gets no messages: `users restore`" in refused(run, 10010, "send", to=who, text="hello")
    assert run("users restore", user=who)["state"] == "normal"
    assert run("tokens issue", user=who, hours=1)["token"].count(".") == 2
    assert run("tokens revoke", user=who)["sessions_closed"] == 0
    assert run("users delete", user=who)["state"] == "deleted"
    assert "is deleted" in refused(run, 10010, "send", to=str(uid), text="hello")


def test_a_banned_user_is_thrown_out_and_stays_out(server, run):
    async def scene():
        who = name("eve")
        async with Client(server.url) as eve:
            await eve.register(who, PASSWORD)
            await eve.login(who, PASSWORD)
            assert [row["online"] for row in await asyncio.to_thread(run, "users devices", user=who)] == [True]
            await asyncio.to_thread(run, "users ban", user=who)
            with pytest.raises(LoggedOut):
                async with asyncio.timeout(PATIENCE_S):
                    async for _ in eve:
                        pass
        async with Client(server.url) as again:
            with pytest.raises(Exception, match=r"banned|may not|closed|10010"):
                await again.login(who, PASSWORD)

    asyncio.run(scene())


def test_groups(server, run):
    import httpx

    def rest(path, token, **body):
        headers = {"app_id": "lanying", "access-token": token}
        answer = httpx.post(server.url + path, json=body, headers=headers).json()
        assert answer["code"] == 200, answer
        return answer["data"]

    owner, guest = name("owner"), name("guest")
    uids = [run("users create", username=who, password=PASSWORD)["uid"] for who in (owner, guest)]
    token = run("tokens issue", user=owner)["token"]
    gid = rest("/group/create", token, name="class 4b", type=0, user_list=[uids[1]])["group_id"]
    shown = run("groups show", group=str(gid))
    assert (shown["name"], shown["owner"], shown["members"]) == ("class 4b", uids[0], 2)
    assert gid in [row["gid"] for row in run("groups list")]
    assert [row["uid"] for row in run("groups members", group=str(gid))] == sorted(uids)
    assert run("groups mute", group=str(gid), minutes=-1)["muted_until_ms"] == -1
    assert "everybody may write" in run("groups unmute", group=str(gid))
    assert run("groups kick", group=str(gid), users=[guest]) == [{"uid": uids[1], "removed": True, "reason": ""}]
    [row] = run("groups kick", group=str(gid), users=[owner])
    assert not row["removed"] and row["reason"].startswith("owns the group")
    assert run("groups show", group=str(gid))["members"] == 1
    assert "destroyed" in run("groups destroy", group=str(gid))
    assert run("groups show", group=str(gid))["state"] == "destroyed"
    refused(run, 20001, "groups show", group="5")


def test_lists_page(console, run):
    """Two users' groups are read in pages of one."""
    import httpx  # noqa: F401

    rows, cursor = [], ""
    while True:
        page = console.run("groups list", {}, cursor=cursor, limit=1)
        assert len(page.value) <= 1
        rows += page.value
        cursor = page.cursor
        if not cursor:
            break
    assert len(rows) == len({row["gid"] for row in rows}) == len(run("groups list"))


def what(run, mid, **arguments):
    return [step["what"] for step in run("why", message_id=mid, **arguments)["story"]]


def test_why_tells_the_story_of_a_message_to_an_offline_user_and_then_delivered(server, run):
    async def scene():
        async with Client(server.url) as alice, Client(server.url) as bob:
            for client, who in ((alice, name("alice")), (bob, name("bob"))):
                await client.register(who, PASSWORD)
                await client.login(who, PASSWORD)
            uid = bob.uid
            await bob.close()
            oops = await alice.send_text(uid, "oops")
            await alice.send(outgoing.recall(uid, oops.mid))
            gone = "recalled"
            await asyncio.to_thread(until, "both copies are gone", lambda: what(run, oops.mid).count(gone) == 2)
            sent = await alice.send_text(uid, "are you there?")
            offline = "waits for device 1, which is offline"
            await asyncio.to_thread(until, "bob's device is gone", lambda: offline in what(run, sent.mid))
            story = await asyncio.to_thread(what, run, sent.mid)
            assert story[0] == f"received from device 1 of {alice.uid}"
            assert story.count("committed at position 3") == 2, story
            async with Client(server.url, device_guid=bob.guid) as again:
                await again.login((await asyncio.to_thread(run, "users show", user=str(uid)))["username"], PASSWORD)
                async with asyncio.timeout(PATIENCE_S):
                    async for event in again:
                        if isinstance(event, Message):
                            break
                acknowledged = "device 1 has acknowledged it"
                await asyncio.to_thread(
                    until, "the story goes on", lambda: acknowledged in what(run, sent.mid, user=str(uid))
                )

    asyncio.run(scene())
    refused(run, 404, "why", message_id=5)
    assert "is a group id" in refused(run, 10002, "why", message_id=5, group="class 4b")
    assert "too large" in refused(run, 10002, "why", message_id=1 << 70)


def test_why_tells_of_a_group_message_how_far_a_member_is(server, run):
    import httpx

    owner, guest = name("owner"), name("guest")
    uids = [run("users create", username=who, password=PASSWORD)["uid"] for who in (owner, guest)]
    headers = {"app_id": "lanying", "access-token": run("tokens issue", user=owner)["token"]}
    body = {"name": "class 4c", "type": 0, "user_list": [uids[1]]}
    gid = httpx.post(server.url + "/group/create", json=body, headers=headers).json()["data"]["group_id"]

    async def scene():
        async with Client(server.url) as client:
            await client.login(guest, PASSWORD)
            mid = run("send", to=str(gid), text="hello", **{"from": owner})["message"]
            acknowledged = "device 1 has acknowledged it"

            def story():
                return what(run, mid, group=str(gid), user=guest)

            await asyncio.to_thread(until, "bob has it", lambda: acknowledged in story(), saw=story)
            assert [step.startswith("committed at position") for step in story()].count(True) == 1
            assert "has no devices yet, or is not a member" in what(run, mid, group=str(gid), user=owner)

    asyncio.run(scene())


def test_trace_shows_frames_without_what_people_wrote(server, console, run):
    async def scene():
        async with Client(server.url) as alice:
            who = name("alice")
            await alice.register(who, PASSWORD)
            await alice.login(who, PASSWORD)
            rows = console.stream("trace", {"user": who})
            tested.add("trace")
            first = asyncio.create_task(asyncio.to_thread(next, rows))
            while not first.done():  # the trace begins while she writes
                await alice.send_text(alice.uid, "a secret")
                await asyncio.wait([first], timeout=0.2)
            row = first.result()
            rows.close()
            assert row["direction"] in ("in", "out") and row["bytes"] > 0
            assert "secret" not in str(row)

    asyncio.run(scene())


def test_top_and_log_levels(server, console, run):
    rows = console.stream("top")
    assert next(rows)["state"] == "ready"
    server.kill("gateway")  # figures that begin again are no negative rates
    for row in next(rows)["processes"]:
        assert row.keys() >= {"per_s", "latency_ms", "owes", "cpu_percent", "rss_bytes"}
        assert all(rate >= 0 for rate in row["per_s"].values()), row
    server.wait_all_ready()
    rows.close()
    tested.add("top")
    assert run("log level", level="debug", module="lanying.shard")["level"] == "debug"
    run("log level", level="info", module="lanying.shard")
    for module in ("asyncio", "lanying.shard.runner"):
        run("log level", level="info", module=module)
    assert "there are: lanying and what is below" in refused(run, 404, "log level", level="debug", module="x.y")
    assert "lanying.shard.runner" in refused(run, 404, "log level", level="debug", module="lanying.shard.runer")


def test_log_tail_shows_lines_about_one_user_as_they_are_written(server, console, run):
    who = name("tail")
    uid = run("users create", username=who, password=PASSWORD)["uid"]

    async def scene():
        rows = console.stream("log tail", {"user": who})
        tested.add("log tail")
        first = asyncio.create_task(asyncio.to_thread(next, rows))
        async with asyncio.timeout(PATIENCE_S):
            while not first.done():  # following begins while the user comes and goes
                async with Client(server.url) as client:
                    await client.login(who, PASSWORD)
        row = first.result()
        rows.close()
        assert row["process"].startswith("shard-") and row["level"] == "info"
        assert f"uid={uid}" in row["text"] and row["text"].startswith(("event=opened", "event=closed"))

    asyncio.run(scene())


def test_events_tell_of_processes_settings_and_jobs(server, run, tmp_path):
    tested.add("events")
    seen = []
    with ThreadPoolExecutor(1) as thread, Console(Address(data=server.data)) as listener:
        rows = listener.stream("events")
        reading = thread.submit(next, rows)

        def row(topic, **wanted):
            """The next event with these values; what else is told meanwhile is kept in ``seen``."""
            nonlocal reading
            while True:
                seen.append(reading.result(60))
                reading = thread.submit(next, rows)
                if seen[-1]["topic"] == topic and wanted.items() <= seen[-1].items():
                    return seen[-1]

        def setting():
            run("config set", key="policy.recall_seconds", value="301")
            return reading.done()

        until("it listens", setting)
        assert row("config")["value"] == 301
        assert row("audit", command="config set")["outcome"] == "done"
        pid = server.process("gateway")["pid"]
        before = server.kill("gateway")
        assert "SIGKILL" in row("process", process="gateway", event="died", pid=pid)["detail"]
        server.hurry()
        assert row("process", process="gateway", event="started")["detail"] == f"restart {before + 1}"
        row("process", process="gateway", event="ready")
        run("backup verify", destination=str(tmp_path), background=True)
        job = row("job")["job"]
        assert row("job", job=job)["state"] == "failed", seen
        run("config set", key="policy.recall_seconds", value="300")
        reading.result(60)
        rows.close()
    server.wait_all_ready()


def test_the_log_level_of_one_user(server, console, run):
    who, peer = name("loud"), name("peer")
    uid, other = (run("users create", username=one, password=PASSWORD)["uid"] for one in (who, peer))
    assert "--minutes is 1 to 60" in refused(run, 10002, "log level", level="debug", user=who, minutes=61)
    assert "exclude each other" in refused(run, 10002, "log level", level="debug", user=who, module="lanying")
    set_to = run("log level", level="debug", user=who, minutes=5)
    assert (set_to["uid"], set_to["level"]) == (uid, "debug")

    def told(text):
        return [line for line in server.log_file.read_text().splitlines() if f" uid={uid} " in line and text in line]

    async def scene():
        async with Client(server.url) as client:
            await client.login(who, PASSWORD)
            await client.send_text(other, "my diary is under the bed")
            await client.rest("GET", "/user/profile")

    def everything():
        asyncio.run(scene())
        wanted = (" router lanying.users event=login ", " gateway lanying.users event=request ", "direction=out")
        return all(told(text) for text in (*wanted, f"to {other}, ", "acknowledgement"))

    until("router, gateway and shard log what the user does", everything)
    assert (
        "diary" not in server.log_file.read_text()
        and f" uid={other} sn=1 direction=" not in server.log_file.read_text()
    )
    run("log level", level="debug", user=who, minutes=0)

    def nothing():
        before = len(told("direction="))
        asyncio.run(scene())
        return len(told("direction=")) == before

    until("it has ended", nothing)


def test_settings(run):
    rows = run("config show", text="durability")
    assert [(row["key"], row["value"], row["set"]) for row in rows] == [("storage.durability", "fsync", False)]
    refused(run, 404, "config show", text="no such thing")
    assert run("slowlog") is not None


def test_a_setting_is_changed_until_the_next_start(server, run):
    import httpx

    def registers():
        body = {"username": name("open"), "password": PASSWORD}
        return httpx.post(server.url + "/user/register/v2", json=body, headers={"app_id": "lanying"}).json()["code"]

    assert registers() == 200
    assert run("config set", key="accounts.open_registration", value="false")["value"] is False
    until("registration is closed", lambda: registers() == 40001)
    assert run("config set", key="accounts.open_registration", value="true")["value"] is True
    until("registration is open", lambda: registers() == 200)
    assert "these can: accounts.open_registration" in refused(run, 10002, "config set", key="listen", value="x")
    assert "recall_seconds" in refused(run, 10002, "config set", key="policy.recall_seconds", value="soon")


def test_users_are_found_by_part_of_their_name(run):
    marker = secrets.token_hex(4)
    made = sorted(run("users create", username=f"find_{marker}_{n}", password=PASSWORD)["uid"] for n in range(3))
    assert sorted(row["uid"] for row in run("users search", text=marker.upper())) == made
    assert {*made} <= {row["uid"] for row in run("users list")}
    assert run("users sessions", user=str(made[0])) == []


def test_messages_from_the_console(server, run):
    async def scene():
        async with Client(server.url) as bob, Client(server.url) as carol:
            for client, who in ((bob, name("bob")), (carol, name("carol"))):
                await client.register(who, PASSWORD)
                await client.login(who, PASSWORD)
            heard = []

            async def hears(text):
                async with asyncio.timeout(PATIENCE_S):
                    async for event in bob:
                        if isinstance(event, Message):
                            heard.append(event)
                            if event.text == text:
                                return event
                raise AssertionError(heard)

            sent = await asyncio.to_thread(run, "send", to=str(bob.uid), text="the server stops at ten")
            assert (await hears("the server stops at ten")).mid == sent["message"]
            await asyncio.to_thread(run, "send", to=str(bob.uid), text="hello from carol", **{"from": str(carol.uid)})
            await hears("hello from carol")
            kept = [
                row["arguments"]["text"]
                for row in await asyncio.to_thread(run, "audit list")
                if row["command"] == "send"
            ]
            assert kept[-2:] == ["(23 characters)", "(16 characters)"]
            number = (await asyncio.to_thread(run, "broadcast", text="to all"))["broadcast"]
            await hears("to all")
            jobs = await asyncio.to_thread(run, "jobs list")
            assert (f"b{number}", "local") in [(row["job"], row["who"]) for row in jobs]

            assert run("messages unreadable") == []
            mid = sent["message"]
            assert {row["removed"] for row in await asyncio.to_thread(run, "messages remove", entry=str(mid))} == {True}
            told = await asyncio.to_thread(run, "why", message_id=mid)
            assert "removed by an operator" in [step["what"] for step in told["story"]]
            assert [row for row in await asyncio.to_thread(run, "audit list") if row["command"] == "messages remove"]

    asyncio.run(scene())
    refused(run, 404, "jobs cancel", job="b1")
    refused(run, 404, "messages remove", entry="12345")


def test_apps(server, run):
    assert [row["app"] for row in run("apps list")] == ["lanying"]
    assert "cannot be removed" in run("apps add", dry=True, app_id="shop")["would"]
    added = run("apps add", app_id="shop", name="The Shop", open_registration="yes", max_users=3)
    assert (added["app"], added["open_registration"], added["until_restart"]) == ("shop", True, [])
    assert run("apps show", app="shop")["max_users"] == 3
    assert "there is an app shop" in refused(run, 10002, "apps add", app_id="shop")
    assert "1 to 64 letters" in refused(run, 10002, "apps add", app_id="my shop")
    assert "max_users" in refused(run, 10002, "apps add", app_id="other", max_users=-1)
    refused(run, 40000, "apps show", app="other")
    uid = run("users create", username="seller", password=PASSWORD, app="shop")["uid"]

    async def scene():
        async with Client(server.url, app_id="shop") as seller:
            assert await seller.login("seller", PASSWORD) == uid

    asyncio.run(scene())


def test_a_shard_is_restarted(run):
    assert "clients connect again, nothing is lost" in run("shards restart", dry=True, shard=1)["would"]
    assert run("shards restart", shard=1)["restarts"] == 1
    assert "there are 0 to 1" in refused(run, 404, "shards restart", shard=9)


def test_slots_that_move_are_looked_at_first(run):
    """Moves that come about are in ``tests/cluster/test_move.py``."""
    would = run("shards move", dry=True, slots="0-9,100", to=1)["would"]
    assert "move slots 0-9,100 to shard 1: 6 of 1024 slots" in would and "a guess" in would
    assert "512 of 1024 slots" in run("shards drain", dry=True, shard=0)["would"]
    assert "there are 0 to 1" in refused(run, 10002, "shards drain", shard=2)
    assert "one thing at a time" in refused(run, 10002, "shards move", slots="1", to=0, shards=3)
    assert "--slots 0-99 --to 2" in refused(run, 10002, "shards move", slots="1")
    assert "say what moves" in refused(run, 10002, "shards move")
    assert "like 0-99,512" in refused(run, 10002, "shards move", slots="all", to=0)
    assert "on 2 shards" in refused(run, 10010, "shards move", shards=2)
    assert "start it without --shards" in refused(run, 10010, "shards move", shards=3)
    assert "no slots were moved" in refused(run, 404, "shards outcome")


def test_backup_compact_and_jobs(run, tmp_path):
    destination = str(tmp_path / "backup")
    assert run("backup create", destination=destination)["online"] is True
    assert run("backup verify", destination=destination)["problems"] == []
    refused(run, 10002, "backup create", destination="relative")
    job = run("backup verify", destination=destination, background=True)
    until("the job is done", lambda: state(run, job["job"]) == "done")
    refused(run, 10010, "jobs cancel", job=str(job["job"]))
    refused(run, 404, "jobs cancel", job="999")
    assert run("compact")["after_bytes"] > 0


def state(run, number):
    return next(row["state"] for row in run("jobs list") if row["job"] == number)


def test_every_change_is_in_the_audit_log(run):
    who = name("frank")
    run("users create", username=who, password=PASSWORD)
    assert run("audit verify")["whole"] is True
    entry = [entry for entry in run("audit list") if entry["command"] == "users create"][-1]
    assert (entry["command"], entry["arguments"]["username"], entry["outcome"]) == ("users create", who, "done")
    assert PASSWORD not in str(run("audit list"))


def test_wrong_arguments_are_named(run):
    assert "users show needs user" in refused(run, 10002, "users show")
    assert "takes no colour" in refused(run, 10002, "status", colour="red")
    assert "--device is a number" in refused(run, 10002, "users kick", user="x", device="first")
    assert "there is no command" in refused(run, 404, "make coffee")


def test_tokens_are_rotated_on_the_running_server(server, run):
    """Of an app of its own, for all of its users are logged out."""
    import httpx

    def code(token, path="/user/profile", **headers):
        headers |= {"app_id": app, "access-token": token}
        return httpx.get(server.url + path, headers=headers).json()["code"]

    async def scene():
        async with Client(server.url, app_id=app) as client:
            await client.login_with_token(uid, users[0])
            rotated = await asyncio.to_thread(run, "tokens rotate", which="all", now=True, app=app)
            assert (rotated["sessions_that_end"], rotated["shards_not_asked"]) == (1, [])
            with pytest.raises((LoggedOut, LoginRefused)):
                async with asyncio.timeout(PATIENCE_S):
                    async for _ in client:
                        pass
        return rotated

    app = name("rotating")
    file = Path(run("apps add", app_id=app, open_registration="no", strangers_may_chat="yes")["admin_token"])
    uid = run("users create", username="alice", password=PASSWORD, app=app)["uid"]
    users = [run("tokens issue", user=str(uid), app=app)["token"]]
    admins, reader = [file.read_text().strip()], run("tokens admin", role="read", days=1, app=app)["token"]
    assert code(admins[0], "/user/list") == code(reader, "/user/list") == code(users[0]) == 200
    assert code(reader, user_id=str(uid)) == 10010
    assert run("tokens rotate", dry=True, which="admin", app=app) == {
        "would": f"end all admin tokens of the app {app} in 24 hours, and write a new admin token"
    }
    run("tokens rotate", which="admin", app=app)
    admins.append(file.read_text().strip())
    assert [code(token, "/user/list") for token in admins] == [200, 200], "while the grace lasts"
    run("tokens rotate", which="admin", now=True, app=app)
    admins.append(file.read_text().strip())
    until("the old ones are refused", lambda: [code(token, "/user/list") for token in admins] == [402, 402, 200])
    assert code(reader, "/user/list") == 402
    assert code(users[0]) == 200, "users were not meant"
    rotated = asyncio.run(scene())
    admins.append(file.read_text().strip())
    assert [code(token, "/user/list") for token in admins] == [402, 402, 402, 200]
    assert (code(users[0]), Path(rotated["admin_token"])) == (402, file)
    assert code(run("tokens issue", user=str(uid), app=app)["token"]) == 200
    assert "tokens rotate" in {row["command"] for row in run("audit list")}
    assert "--days is 1 to" in refused(run, 10002, "tokens admin", days=0, app=app)


def test_every_command_of_the_table_was_run():
    assert COMMANDS.keys() - tested == set()


def test_the_documentation_has_the_table():
    from admin_commands import PAGE, updated

    assert PAGE.read_text() == updated(PAGE.read_text()), "run tools/admin_commands.py"


@pytest.mark.parametrize("command", TABLE, ids=lambda command: command.name)
def test_every_command_explains_itself(command):
    assert command.help and command.help[0].islower() and not command.help.endswith(".")
    for argument in command.arguments:
        assert argument.help


@pytest.mark.parametrize(
    "command", [one for one in TABLE if one.role > Role.READ and not one.streams], ids=lambda c: c.name
)
def test_every_command_that_changes_something_has_a_dry_run(command):
    """Without `will` it would be done when only asked what it would do."""
    assert "context.will(" in inspect.getsource(command.handler)
