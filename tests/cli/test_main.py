"""The command line as a user meets it."""

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lanying import __version__
from lanying.base.limits import MAX_SHARDS
from lanying.cli.main import EXIT_CODES, cli
from lanying.config import apps


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "lanying.cli", *arguments],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, cwd=cwd,
        env={n: v for n, v in os.environ.items() if not n.startswith("LANYING_")} | environment,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["", *cli.commands])
def test_help_is_complete(tmp_path, command):
    shown = run(*command.split(), "--help", cwd=tmp_path)
    assert shown.returncode == 0
    text = re.sub(r"\s+", " ", shown.stdout)
    for name, found in cli.commands.items() if not command else [(command, cli.commands[command])]:
        assert name in text
        assert found.help
        for parameter in found.params if command else ():
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name} has no help"
            assert all(option in text for option in parameter.opts if option.startswith("--"))
    if command in ("", "start"):
        for code, meaning in EXIT_CODES.items():
            assert re.search(rf"\b{code} {re.escape(meaning[:20])}", text), code


def test_version(tmp_path):
    assert run("version", cwd=tmp_path).stdout == f"lanying {__version__}\n"


def test_check_config_shows_every_setting_and_its_source(tmp_path):
    (tmp_path / "own.toml").write_text("max_connections = 100\n[storage]\ndurability = 'interval'\n")
    shown = run("check-config", "--config", "own.toml", "--listen", "127.0.0.1:1", cwd=tmp_path, LANYING_SHARDS="2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.endswith("a start would go on with these\n")
    lines = {line.split(" = ")[0]: line for line in shown.stdout.splitlines()}
    assert lines["storage.durability"].split() == ["storage.durability", "=", '"interval"', "#", "own.toml"]
    assert lines["listen"].endswith("# command line") and lines["shards"].endswith("# environment")
    assert lines["app_id"].endswith("# default") and "accounts.open_registration" in lines
    assert list(tmp_path.iterdir()) == [tmp_path / "own.toml"]


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        (["--config", "absent.toml"], {}, "absent.toml: No such file"),
        (["--listen", "8480"], {}, "command line: listen = '8480': write HOST:PORT"),
        (["--log-level", "loud"], {}, "allowed: debug, info, warning, error"),
        ([], {"LANYING_PORT": "1"}, "environment: unknown key LANYING_PORT; allowed: listen"),
        (["--shards", str(MAX_SHARDS + 1)], {}, f"shards = {MAX_SHARDS + 1}"),
    ],
)
@pytest.mark.parametrize("command", ["check-config", "start"])
def test_bad_settings_are_one_line_with_the_remedy_and_start_nothing(tmp_path, command, arguments, environment, text):
    refused = run(command, *arguments, cwd=tmp_path, **environment)
    assert refused.returncode == 78 and text in refused.stderr and refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_unknown_options_and_commands(tmp_path):
    assert run("start", "--port", "1", cwd=tmp_path).returncode == 2
    assert run("begin", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("command", ["status", "stop", "restart"])
def test_commands_without_a_server(tmp_path, command):
    asked = run(command, cwd=tmp_path)
    assert asked.returncode == 3 and "not running" in asked.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_low_descriptor_limit_is_refused(tmp_path):
    program = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)); from lanying.cli.main import main; main()"
    refused = subprocess.run(
        [sys.executable, "-c", program, "start"], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert refused.returncode == 78 and "hard limit is 4096" in refused.stderr and "tools/pi_tune.sh" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_notifiers_are_added_listed_and_removed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    apps.save(tmp_path, [apps.new("lanying", ""), apps.new("other", "")])
    data = ["--data", str(tmp_path)]

    def run(*arguments):
        return CliRunner().invoke(cli, ["notifier", *arguments, *data])

    done = run("add", "mi", "--provider", "xiaomi", "--app-id", "v1", "--secret-file", str(secret))
    assert done.exit_code == 0, done.output
    assert run("list").output == "mi\txiaomi\tproduction\tv1\n"
    assert run("list", "--app", "other").output == ""
    assert "hush" not in (tmp_path / "notifiers.json").read_text()
    assert run("remove", "mi").exit_code == 0
    assert run("remove", "mi").exit_code == 1
    assert CliRunner().invoke(cli, ["notifier", "list", "--data", str(tmp_path / "none")]).exit_code == 2
