"""``lanying-admin`` as a person and a script meet it."""

import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from lanying.admin.console import cli
from lanying.admin.console.client import Result
from lanying.admin.console.repl import Completions, History
from lanying.testing.poll import until

PASSWORD = "correct-horse1"


@pytest.fixture
def alice(admin):
    name = f"alice_{secrets.token_hex(4)}"
    code, _, error = admin("users", "create", name, "--password", PASSWORD)
    assert code == 0, error
    return name


def test_one_shot_with_json_for_scripts(admin, alice):
    code, shown, error = admin("users", "show", alice, "--json")
    assert (code, error) == (0, "") and shown["username"] == alice
    assert admin("--json", "users", "show", alice)[1] == shown


@pytest.mark.parametrize("option", ["--data", "--server", "--key", "--context"])
@pytest.mark.parametrize("command", [["doctor"], ["users"], ["users", "list"]])
def test_an_option_of_the_server_behind_a_command_is_led_to_its_place(command, option, capsys):
    assert cli.run(cli.cli, [*command, option, "x"]) == 2
    assert f"{option} stands before the command" in capsys.readouterr().err


def test_a_table_for_people(admin, alice):
    code, shown, error = admin("users", "show", alice)
    assert code == 0 and f"username   {alice}" in shown and error == ""


def test_what_is_no_terminal_gets_whole_lines(admin, alice):
    code, shown, _ = admin("tokens", "issue", alice, COLUMNS="80")
    token = shown.partition("token")[2].split()[0]
    assert code == 0 and token.count(".") == 2 and "…" not in shown
    assert any(
        alice in line and "tokens issue" in line for line in admin("audit", "list", "--limit", 1000)[1].splitlines()
    )


def test_a_console_tells_how_to_see_more(admin, alice):
    admin("users", "create", f"{alice}_2", "--password", PASSWORD)
    assert "--limit 10 shows more" in admin("users", "list", "--limit", 1)[2]
    assert len(admin("users", "search", alice, "--limit", 1, "--json")[1]) == 2


def test_lines_of_the_interactive_console_may_have_the_options_of_all(admin, alice, tmp_path):
    lines = f"--json users show {alice}\n--data {tmp_path}/none status --timeout 1\n--yes\nusers show {alice}\nexit\n"
    code, shown, error = admin(answer=lines, XDG_CONFIG_HOME=str(tmp_path))
    assert f'"username": "{alice}"' in shown and f"username   {alice}" in shown and code == 0
    assert "nobody answers at ipc://" in error and "with --data" in error and "say a command as well" in error


def test_keys_are_those_of_the_server_that_is_meant(admin, tmp_path):
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert admin("keygen", "lamp", "--out", tmp_path / "lamp.key", "--json", **home)[1]["role"] == "read"
    assert "lamp" in [row["name"] for row in admin("keys", "list", "--json", **home)[1]]
    assert "lamp  read" in admin(answer="keys list\nexit\n", **home)[1]
    assert admin("--json", "keys", "remove", "lamp", **home)[1] == {"removed": "lamp"}
    away = ("--server", "192.0.2.1:1", "--key", tmp_path / "lamp.key", "keys", "list")
    assert "on the machine of the server" in admin(*away, data=None, **home)[2]


def test_another_context_is_used_by_the_console_that_chose_it(admin, server, alice, tmp_path):
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert admin("context", "add", "here", data=None, **home)[0] == 1
    assert admin("context", "add", "here", "--data", server.data, data=None, **home)[0] == 0
    assert admin("context", "add", "gone", "--data", tmp_path / "none", data=None, **home)[0] == 0
    rows = admin("context", "list", "--json", data=None, **home)[1]
    assert [(row["name"], row["in_use"]) for row in rows] == [("here", False), ("gone", True)]
    assert f"username   {alice}" in admin(answer=f"context use here\nusers show {alice}\nexit\n", data=None, **home)[1]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("us", {"users"}),
        ("he", {"help"}),
        ("help users sh", {"show"}),
        ("users show alice --a", {"--app"}),
        ("log level ", {"debug", "info", "warning", "error"}),
        ("log tail --level w", {"warning"}),
        ("config set policy.rec", {"policy.recall_seconds"}),
        ("keygen x --role o", {"operate"}),
        ("send alice 'not clo", set()),
    ],
)
def test_completion_knows_commands_options_and_values(line, offers):
    found = Completions(cli.cli).get_completions(Document(line), CompleteEvent(completion_requested=True))
    assert {one.text for one in found} == offers


def test_the_history_is_private_and_keeps_no_passwords(tmp_path):
    file = tmp_path / "history"
    file.touch(0o644)
    history = History(str(file))
    history.append_string("users create eve --password correct-horse1")
    history.append_string("users list")
    assert "users list" in file.read_text() and "correct-horse1" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_more_pages_for_a_person_who_wants_them(monkeypatch, capsys):
    asked = []

    class Pages(cli.Console):
        def run(self, command, arguments=None, *, cursor="", **_):
            asked.append(cursor)
            return Result([{"name": f"row {cursor}"}], str(len(asked)))

    answers = iter([True, False])
    monkeypatch.setattr(cli, "Console", Pages)
    monkeypatch.setattr(cli, "_wants_more", lambda session: next(answers))
    assert cli.run(cli.cli, ["users", "list"]) == 0 and asked == ["", "1"]


def test_destructive_commands_ask_and_say_what_they_will_do(admin, alice):
    code, shown, error = admin("users", "ban", alice, answer="n\n")
    assert code == 130 and f"ban {alice}" in error and "Go on? [y/N]" in error and shown == ""
    assert admin("users", "show", alice, "--json")[1]["state"] == "normal"
    assert admin("users", "ban", alice, answer="y\n")[0] == 0
    assert admin("users", "show", alice, "--json")[1]["state"] == "banned"
    assert admin("users", "restore", alice)[0] == 0
    assert admin("users", "freeze", alice, "--yes", "--json")[1]["state"] == "frozen"


def test_a_password_is_asked_for_without_echo(admin):
    name = f"bob_{secrets.token_hex(4)}"
    code, shown, error = admin("users", "create", name, answer=f"{PASSWORD}\n{PASSWORD}\n")
    assert code == 0 and name in shown and PASSWORD not in shown + error


@pytest.mark.parametrize("answer", ["", f"{PASSWORD}\n"])
def test_where_nobody_can_be_asked_for_a_password_the_way_to_give_it_is_said(admin, answer):
    code, _, error = admin("users", "create", f"bob_{secrets.token_hex(4)}", answer=answer)
    assert code == 1 and "give it with --password" in error


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["users", "show", "nobody-of-that-name"], 1, "there is no user nobody-of-that-name"),
        (["users", "fly"], 2, "No such command 'fly'"),
        (["users", "show"], 2, "Missing argument 'USER'"),
        (["--server", "127.0.0.1:1", "status"], 1, "--server needs --key FILE"),
        (["--context", "moon", "status"], 1, "no context 'moon'"),
        (["users", "show", "9" * 20], 1, f"there is no user {'9' * 20}"),
        (["groups", "show", "9" * 20], 1, f"there is no group {'9' * 20}"),
        (["log", "level", "debug", "--process", "tower"], 1, "there is no process tower; there are: shard-0"),
    ],
)
def test_errors_have_a_code_and_a_remedy(admin, tmp_path, arguments, code, says):
    data = None if arguments[0].startswith("--") else ...
    done = (
        admin(*arguments, XDG_CONFIG_HOME=str(tmp_path))
        if data is ...
        else admin(*arguments, data=None, XDG_CONFIG_HOME=str(tmp_path))
    )
    assert done[0] == code and says in done[2], done


def test_no_server_is_said_within_seconds(admin, tmp_path):
    code, _, error = admin("status", data=tmp_path)
    assert code == 3 and "start the server, or name its data directory with --data" in error


def test_help_lists_every_command(admin):
    code, shown, _ = admin("--help", data=None)
    assert code == 0 and "Exit codes" in shown
    for word in ("status", "users", "groups", "why", "doctor", "audit", "keygen", "context"):
        assert f"  {word}" in shown
    assert "keep a user out" in admin("users", "--help", data=None)[1]


class Terminal:
    """A tmux session: what is typed and what is on its screen."""

    def __init__(self, socket):
        self._tmux = ("tmux", "-L", socket)

    def start(self, command, directory):
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-x", "120", "-y", "40", "-c", directory, command], check=True
        )

    def type(self, *keys):
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def screen(self):
        return subprocess.run([*self._tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout

    def shows(self, text):
        until(f"the screen shows {text!r}", lambda: text in self.screen(), saw=self.screen)

    def close(self):
        subprocess.run([*self._tmux, "kill-server"], stderr=subprocess.DEVNULL)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt install tmux")
def test_the_interactive_console_in_a_terminal(server, alice, tmp_path):
    terminal = Terminal(f"lanying-{secrets.token_hex(4)}")
    command = f"XDG_CONFIG_HOME={tmp_path} {sys.executable} -m lanying.admin.console --data {server.data}"
    terminal.start(command, tmp_path)
    try:
        terminal.shows("lanying>")
        terminal.type("user", "Tab")
        terminal.shows("lanying> users")
        terminal.type(f" show {alice}", "Enter")
        terminal.shows("created")
        terminal.type("help groups", "Enter")
        terminal.shows("end a group for good")
        terminal.type(f"users ban {alice}", "Enter")
        terminal.shows("Go on? [y/N]")
        terminal.type("n", "Enter")
        terminal.shows("not done")
        terminal.type("top", "Enter")
        terminal.shows("p99")
        first = terminal.screen()
        until("it goes on", lambda: terminal.screen() != first, saw=terminal.screen)
        assert terminal.screen().count("shard-1 ") == 1, "in place"
        terminal.type("C-c")
        until("it has ended", lambda: terminal.screen().rstrip().endswith("lanying>"), saw=terminal.screen)
        terminal.type("make coffee", "Enter")
        terminal.shows("No such command 'make'")
        terminal.type('users show "unfinished', "Enter")
        terminal.shows("close the quotes")
        terminal.type("Up", "Up", "Enter")
        terminal.type("exit", "Enter")
        until("it has left", lambda: "lanying>" not in terminal.screen(), saw=terminal.screen)
        assert f"users ban {alice}" in (tmp_path / "lanying/history").read_text()
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("shards restart 1", 90), ("users list", 30), ("compact", 3600), ("compact --timeout 5", 5)],
)
def test_a_command_has_a_deadline_of_its_own(monkeypatch, line, seconds):
    given = []

    class Nobody(cli.Console):
        def run(self, command, arguments=None, *, timeout_s=0.0, **_):
            given.append(timeout_s)
            return Result([])

    monkeypatch.setattr(cli, "Console", Nobody)
    assert cli.run(cli.cli, ["--yes", "--json", *line.split()]) == 0
    assert given == [seconds]


@pytest.mark.parametrize(("state", "code"), [("bad", 1), ("warn", 0)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_doctor_fails_when_something_is_bad(monkeypatch, capsys, state, code, options):
    class Ill(cli.Console):
        def run(self, command, arguments=None, **_):
            return Result([{"state": state, "check": "disk space", "found": "none", "remedy": "make room"}])

    monkeypatch.setattr(cli, "Console", Ill)
    assert cli.run(cli.cli, ["doctor", *options]) == code
    assert "make room" in capsys.readouterr().out


def test_a_negative_number_is_a_value_and_an_option_that_is_none_is_an_error(monkeypatch, capsys):
    asked = []

    class Deaf(cli.Console):
        def run(self, command, arguments=None, **_):
            asked.append(arguments)
            return Result({})

    monkeypatch.setattr(cli, "Console", Deaf)
    assert cli.run(cli.cli, ["config", "set", "policy.recall_seconds", "-12", "--yes"]) == 0
    assert asked == [{"key": "policy.recall_seconds", "value": "-12"}]
    for line in (["config", "set", "a", "-1", "--no"], ["config", "set", "a", "b", "--no"]):
        assert cli.run(cli.cli, line) == 2
    assert asked[1:] == []


def test_the_documentation_has_the_exit_codes():
    text = (Path(__file__).parents[3] / "docs/admin.md").read_text()
    for code, meaning in cli.EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text
