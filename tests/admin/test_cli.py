"""``lanying-admin`` as a person and a script meet it."""

import secrets
import shutil
import subprocess
import sys

import pytest

from lanying.admin import cli
from lanying.admin.client import Result
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


def test_a_table_for_people(admin, alice):
    code, shown, error = admin("users", "show", alice)
    assert code == 0 and f"username   {alice}" in shown and error == ""


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
    assert code == 3 and "is the server running" in error


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
        until(f"the screen shows {text!r}", lambda: text in self.screen(), 30, self.screen)

    def close(self):
        subprocess.run([*self._tmux, "kill-server"], stderr=subprocess.DEVNULL)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt install tmux")
def test_the_interactive_console_in_a_terminal(server, alice, tmp_path):
    terminal = Terminal(f"lanying-{secrets.token_hex(4)}")
    command = f"XDG_CONFIG_HOME={tmp_path} {sys.executable} -m lanying.admin.cli --data {server.data}"
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
        until("it goes on", lambda: terminal.screen() != first, 30, terminal.screen)
        assert terminal.screen().count("shard-1 ") == 1, "in place"
        terminal.type("C-c")
        until("it has ended", lambda: terminal.screen().rstrip().endswith("lanying>"), 30, terminal.screen)
        terminal.type("make coffee", "Enter")
        terminal.shows("No such command 'make'")
        terminal.type('users show "unfinished', "Enter")
        terminal.shows("close the quotes")
        terminal.type("Up", "Up", "Enter")
        terminal.type("exit", "Enter")
        until("it has left", lambda: "lanying>" not in terminal.screen(), 30, terminal.screen)
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
