"""Consoles that come over TCP: only with a registered key, and only as far as its role goes."""

import asyncio
import json
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import zmq

from lanying.admin import keys
from lanying.admin.commands import backups
from lanying.admin.console.client import Address, Console
from lanying.admin.context import CommandContext
from lanying.admin.errors import CommandError
from lanying.admin.keys import Role
from lanying.admin.messages import Ask, encode
from lanying.base.errors import ConfigError
from lanying.config.schema import Config
from lanying.testing.poll import until


@pytest.fixture
def address(server):
    return server.environment["LANYING_ADMIN_LISTEN"]


def console(address, ticket):
    return Console(Address(host=address, ticket=ticket))


@pytest.mark.parametrize("role", list(Role))
def test_a_key_may_do_what_its_role_allows(server, address, role):
    ticket = keys.add(server.data, f"of-{role.name}", role)
    with console(address, ticket) as found:
        assert found.run("status").value["state"] == "ready"
        for command, needs in (("users ban", Role.OPERATE), ("groups destroy", Role.ADMIN)):
            with pytest.raises(CommandError) as caught:
                found.run(command, _arguments(command))
            expected = 402 if role < needs else (10000 if command == "users ban" else 20001)
            assert caught.value.code == expected, caught.value


def _arguments(command):
    return {"user": "nobody"} if command == "users ban" else {"group": "5"}


def test_the_role_operate_backs_up_below_the_configured_directory_alone(server, address, tmp_path):
    allowed = Path(server.environment["LANYING_STORAGE_BACKUP_PATH"])
    (allowed / "way-out").symlink_to(tmp_path)
    with console(address, keys.add(server.data, "night", Role.OPERATE)) as found:
        for elsewhere in (
            tmp_path,
            allowed / ".." / "other",
            allowed / "way-out" / "deep",
            f"{allowed}-too",
            server.data,
        ):
            for command in ("backup create", "backup verify"):
                with pytest.raises(CommandError, match=r"storage\.backup_path.*elsewhere needs admin") as caught:
                    found.run(command, {"destination": str(elsewhere)})
                assert caught.value.code == 402
        assert not list(tmp_path.iterdir())
        inside = {"destination": str(allowed / "tonight")}
        assert found.run("backup create", inside, timeout_s=60).value["online"] is True
        assert found.run("backup verify", inside, timeout_s=60).value["problems"] == []
    (allowed / "way-out").unlink()
    shutil.rmtree(allowed / "tonight")  # the admin page's backup goes where it lies


def test_without_a_configured_directory_the_role_operate_makes_no_backups():
    server = SimpleNamespace(config=Config())
    with pytest.raises(CommandError, match=r"needs the role admin, or storage\.backup_path"):
        asyncio.run(backups.create(CommandContext(server, "night", Role.OPERATE, {"destination": "/tmp"})))


def test_a_read_key_that_tries_to_ban_is_refused_and_recorded(server, address):
    with console(address, keys.add(server.data, "curious", Role.READ)) as found:
        with pytest.raises(CommandError, match="needs the role operate, this key has read"):
            found.run("users ban", {"user": "nobody"})
        [entry] = [row for row in found.run("audit list", limit=1000).value if row["who"] == "curious"]
    assert (entry["who"], entry["command"]) == ("curious", "users ban") and entry["outcome"].startswith("refused")
    assert entry["arguments"] == {"user": "nobody"}, "whom they tried to ban"


def test_a_console_without_a_key_is_not_answered(server, address):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        events = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        socket.connect(f"tcp://{address}")
        socket.send(encode(Ask(1, "status")))
        assert events.poll(30_000), "the handshake was not refused"
        assert not socket.poll(200)
    finally:
        context.destroy(linger=0)


def test_a_key_that_is_not_registered_is_refused_and_logged(server, address):
    stranger, ring = keys.new_pair(), keys.load(server.data)
    ticket = keys.Ticket("stranger", "admin", stranger.public, stranger.secret, ring.server.public)
    with console(address, ticket) as found, pytest.raises(CommandError, match="is this key registered there"):
        found.run("status")
    line = f"event=console_refused address=127.0.0.1 key={stranger.public}"
    until("it is logged", lambda: line in server.log())


def test_a_removed_key_is_refused_on_its_open_connection(server, address):
    with console(address, keys.add(server.data, "leaver", Role.ADMIN)) as found:
        assert found.run("status").value["state"] == "ready"
        assert keys.remove(server.data, "leaver")
        with pytest.raises(CommandError, match="registered"):
            found.run("status")


def test_a_removed_key_hears_no_more_events_and_the_others_come_back(server, address):
    stay, leave = (keys.add(server.data, who, Role.READ) for who in ("stayer", "leaver"))
    with console(address, stay) as one, console(address, leave) as other, Console(Address(data=server.data)) as local:
        here, gone = one.subscribe("audit"), other.subscribe("audit")
        rows = other.stream("events")
        reading = ThreadPoolExecutor(1).submit(list, rows)

        def heard(events):
            local.run("log level", {"level": "info"})
            return events.next(0.2) is not None

        until("both hear", lambda: heard(here) and heard(gone))
        assert keys.remove(server.data, "leaver")
        with pytest.raises(CommandError, match="registered"):
            reading.result(30)
        until("the console is locked out", lambda: "event=keys_removed" in server.log())
        while gone.next(0.2):
            pass  # what was under way
        until("the other one is back", lambda: heard(here))
        assert not heard(gone) and gone.next(1.0) is None
        assert one.run("status").value["state"] == "ready"
        with pytest.raises(CommandError, match="registered"):
            other.run("status")


def test_what_runs_for_others_survives_the_removal_of_a_key(server, address):
    with console(address, keys.add(server.data, "worker", Role.READ)) as one, ThreadPoolExecutor(1) as thread:
        rows = one.stream("events", {"topic": "keys"})

        def told(change, *names):
            """Make a change, again and again, until an event has these names removed and added."""
            reading = thread.submit(next, rows)

            def heard():
                nonlocal reading
                change()
                wait([reading], 1.5)
                if not reading.done():
                    return False
                row, reading = reading.result(), thread.submit(next, rows)
                return (row["removed"], row["added"]) == names

            until("it is told", heard)
            return reading

        reading = told(
            lambda: keys.add(server.data, "former", Role.READ), ["former"], ["former"]
        )  # replaced: locked out
        keys.add(server.data, "next", Role.READ)
        assert reading.result(30)["added"]  # over the same connection
        rows.close()


@pytest.mark.parametrize("damage", [b"{", b'"admin"', b""])
def test_while_the_keys_cannot_be_read_nobody_comes_in_and_afterwards_they_do(server, address, damage):
    ticket, file = keys.add(server.data, "careful", Role.ADMIN), server.data / keys.FILE
    whole = file.read_bytes()
    with console(address, ticket) as found:
        assert found.run("status").value["state"] == "ready"
        file.write_bytes(damage)
        try:
            with pytest.raises(CommandError, match="registered"):
                found.run("status")
        finally:
            file.write_bytes(whole)
    until("it is logged", lambda: "event=keys_unreadable" in server.log())
    with console(address, ticket) as again:
        assert again.run("status").value["state"] == "ready"


def test_an_address_that_is_none_is_said():
    pair = keys.new_pair()
    ticket = keys.Ticket("x", "read", pair.public, pair.secret, pair.public)
    with pytest.raises(ConfigError, match="give --server HOST:PORT"), console("moon", ticket):
        pass


def test_a_role_there_is_not_is_none(server, address):
    ticket, file = keys.add(server.data, "odd", Role.ADMIN), server.data / keys.FILE
    whole = file.read_bytes()
    with console(address, ticket) as found:
        assert found.run("status").value["state"] == "ready"
        ring = keys.load(server.data)
        odd = [msgspec.structs.replace(one, role="boss" if one.name == "odd" else one.role) for one in ring.consoles]
        keys.save(server.data, msgspec.structs.replace(ring, consoles=tuple(odd)))
        try:
            with pytest.raises(CommandError, match="registered"):
                found.run("status")
        finally:
            file.write_bytes(whole)


def test_live_events_come_over_tcp_too(server, address):
    with console(address, keys.add(server.data, "watcher", Role.OPERATE)) as found:
        events = found.subscribe("audit")

        def heard():
            # A subscription takes a moment to arrive: do something until one is seen.
            found.run("log level", {"level": "info"})
            event = events.next(0.2)
            return event and event.what["command"] == "log level"

        until("an event arrives", heard)


def test_secrets_are_for_their_owner_alone(server, tmp_path, admin):
    code, shown, _ = admin("keygen", "laptop", "--out", tmp_path / "laptop.key", "--data", server.data, data=None)
    assert code == 0 and "context add" in shown
    for file in (tmp_path / "laptop.key", server.data / "admin-keys.json", server.data / "audit.log"):
        if file.exists():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(os.stat(server.data).st_mode) == 0o700


def test_contexts_name_servers(server, address, tmp_path, admin):
    home = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    key = tmp_path / "desk.key"
    assert admin("keygen", "desk", "--role", "read", "--out", key, "--data", server.data, data=None)[0] == 0
    assert admin("context", "add", "here", "--data", server.data, data=None, **home)[0] == 0
    code, shown, _ = admin("context", "add", "far", "--server", address, "--key", key, data=None, **home)
    assert code == 0 and shown == "far is the server in use\n"
    assert admin("status", "--json", data=None, **home)[1]["state"] == "ready"
    assert "* far" in admin("context", "list", data=None, **home)[1]
    code, _, error = admin("users", "ban", "nobody", "--yes", data=None, **home)
    assert code == 4 and "needs the role operate" in error
    assert admin("context", "use", "here", data=None, **home)[0] == 0
    assert admin("context", "remove", "far", data=None, **home)[0] == 0
    code, _, error = admin("--context", "far", "status", data=None, **home)
    assert code == 1 and "no context 'far'; there are: here" in error
    assert json.loads((tmp_path / "lanying/contexts.json").read_text())["current"] == "here"


def test_keys_that_come_and_go_are_in_the_audit_log(server):
    made = keys.add(server.data, "porter", Role.OPERATE)

    def told(command):
        with Console(Address(data=server.data)) as found:
            rows = found.run("audit list", limit=1000).value
        wanted = ("local", command, {"name": "porter", "role": "operate"}, "done")
        return [row for row in rows if (row["who"], row["command"], row["arguments"], row["outcome"]) == wanted]

    until("it was added", lambda: told("keygen"))
    assert keys.remove(server.data, "porter")
    until("it was removed", lambda: told("keys remove"))
    assert len(told("keygen")) == len(told("keys remove")) == 1
    log = (server.data / "audit.log").read_text()
    assert made.public not in log and made.secret not in log


def test_a_watch_finds_what_changed_since_an_earlier_one_kept_it(tmp_path):
    keys.add(tmp_path, "old", Role.READ)
    first = keys.Watch(tmp_path)
    change = first.look()
    assert list(change.commands()) == [("keygen", {"name": "old", "role": "read"})] and first.look() is None
    first.keep()
    assert stat.S_IMODE((tmp_path / keys.SEEN).stat().st_mode) == 0o600
    assert not keys.Watch(tmp_path).look().added, "it was told"
    keys.add(tmp_path, "old", Role.ADMIN)  # replaced
    keys.add(tmp_path, "new", Role.READ)
    later = keys.Watch(tmp_path)
    assert [*later.look().commands()] == [
        ("keygen", {"name": "new", "role": "read"}),
        ("keygen", {"name": "old", "role": "admin"}),
    ]
    later.keep()
    keys.remove(tmp_path, "new")
    assert [*keys.Watch(tmp_path).look().commands()] == [("keys remove", {"name": "new", "role": "read"})]
