"""Docs say what is there: every setting, option, command, exit code, status field, metric and module named."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from lanying.base import limits
from lanying.cli.main import EXIT_CODES, cli
from lanying.cluster.runtime import EXIT_FENCED
from lanying.config.load import environment_name
from lanying.config.schema import Config, flat
from lanying.gateway.http.metrics import Metrics
from lanying.supervisor.answers import ProcessStatus
from lanying.testing.poll import PATIENCE_S, until

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
READMES = {name: (ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md")}
PAGES = (*READMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/configuration.md", "docs/testing.md")


def rows(first_cell):
    """Table rows of the configuration page with this first cell."""
    return [line for line in CONFIGURATION.splitlines() if line.startswith(f"| {first_cell} |")]


@pytest.mark.parametrize(("key", "default"), [*flat(msgspec.to_builtins(Config()))])
def test_every_setting_has_its_line_with_environment_name_and_default(key, default):
    (row,) = rows(f"`{key}`")
    text = ", ".join(default) if isinstance(default, tuple | list) else str(default)
    shown = f"`{text.lower() if isinstance(default, bool) else text}`" if text else ""
    assert [cell.strip() for cell in row.split("|")[2:4]] == [f"`{environment_name(key)}`", shown]


def test_no_setting_is_documented_that_does_not_exist():
    keys = {name for name, _ in flat(msgspec.to_builtins(Config()))}
    documented = set(re.findall(r"^\| `([a-z_.0-9]+)` \| `LANYING_", CONFIGURATION, re.MULTILINE))
    assert documented == keys


def test_how_many_shards_there_may_be_is_what_is_documented():
    for page in ("docs/configuration.md", "ARCHITECTURE.md"):
        assert f" 1 to {limits.MAX_SHARDS}" in (ROOT / page).read_text(), page


def test_make_run_takes_no_address_without_tls():
    shown = subprocess.run(
        ["make", "-n", "run", "LISTEN=0.0.0.0:8443", "PLAIN="], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "--listen '' --listen-tls 0.0.0.0:8443 " in shown.stdout, shown.stderr


def test_every_command_and_option_has_its_line():
    for name, command in cli.commands.items():
        assert rows(f"`lanying-cluster {name}`"), name
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--"):
                    assert re.search(rf"^\| .*`{option}[ `]", CONFIGURATION, re.MULTILINE), f"{name} {option}"


def test_every_exit_code_has_its_line():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", CONFIGURATION, re.MULTILINE)} == set(EXIT_CODES)


def test_the_exit_code_of_a_shard_with_another_owner_is_explained():
    assert f"{EXIT_FENCED} (`event=fenced`" in CONFIGURATION


def test_every_metric_has_its_line():
    metrics = Metrics()
    assert isinstance(metrics.registry, CollectorRegistry)
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert rows(f"`{name}`"), name


def test_every_status_field_and_figure_is_documented(cluster):
    done = subprocess.run(
        [sys.executable, "-m", "lanying.cli", "status", "--json", "--data", str(cluster.data)],
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    section = CONFIGURATION.partition("## Status")[2].partition("## Metrics")[0]
    figures = {one.name for row in found["processes"] for one in msgspec.convert(row, ProcessStatus).counted}
    for name in (*found, *found["processes"][0], *sorted(figures)):
        assert f"`{name}`" in section, name


def test_every_process_is_on_the_metrics_page_and_every_metric_documented(cluster):
    status = json.loads(
        subprocess.run(
            [sys.executable, "-m", "lanying.cli", "status", "--json", "--data", str(cluster.data)],
            capture_output=True,
        ).stdout
    )

    def page():
        return urllib.request.urlopen(status["metrics_url"], timeout=PATIENCE_S).read().decode()

    late = {f'lanying_lag_seconds_count{{process="{row["name"]}"}}' for row in status["processes"]}
    until("every loop was sampled", lambda: all(one in page() for one in late), saw=page)
    section = CONFIGURATION.partition("## Metrics")[2].partition("## Data directory")[0]
    for name in re.findall(r"^# TYPE (lanying_\w+)", page(), re.MULTILINE):
        assert f"`{name}`" in section or name.endswith("_created"), name


def blocks(text):
    """Code blocks: language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_both_readmes_have_the_same_headings_commands_code_and_links():
    english, chinese = READMES.values()

    def shape(text):
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        return {
            "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)],
            "items": len(re.findall(r"^- ", prose, re.MULTILINE)),
            "code": blocks(text),
            "inline code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
            "links": sorted(set(re.findall(r"\]\(([^)]+)\)", prose)) - {*READMES}),
        }

    assert shape(english) == shape(chinese)


def test_the_readme_is_one_sentence_and_two_commands():
    lines = READMES["README.md"].splitlines()
    assert lines[2].count(".") == 1
    assert [line.split("#")[0].strip() for line in blocks(READMES["README.md"])[0][1].splitlines()] == [
        "make run",
        "make test",
    ]


def test_the_readme_example_is_the_file_and_runs(cluster):
    example = READMES["README.md"].partition("<!-- example -->\n```python\n")[2].partition("```")[0]
    assert example == (ROOT / "docs/try_it.py").read_text()
    program = example.replace("http://127.0.0.1:8480", cluster.url)
    assert program != example
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "bob received: Hello, Bob!\n"
    assert done.stdout.strip() in READMES["README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_named_in_a_page_exist(page):
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:lanying|tests|docs|tools|bench)/[\w./-]*)`", text))
    named |= {f"{Path(page).parent}/{link.partition('#')[0]}" for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_make_targets_named_in_pages_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert named <= targets, page
