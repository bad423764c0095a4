"""Settings that change while a process runs: one current configuration, and nobody who keeps a copy."""

import ast
from pathlib import Path

import msgspec
import pytest

import lanying
from lanying.base.errors import ConfigError
from lanying.config.runtime import AT_RUN_TIME, RuntimeSettings, changed
from lanying.config.schema import AppOverrides, Config, flat


@pytest.mark.parametrize("key", AT_RUN_TIME)
def test_a_change_is_seen_by_whoever_asks_then_and_changes_no_value(key):
    table, _, name = key.partition(".")
    start = Config()
    settings = RuntimeSettings(start)
    old = getattr(getattr(start, table), name)
    new = not old if isinstance(old, bool) else old + 1
    settings.change(key, new)
    assert getattr(getattr(settings.config, table), name) == new
    assert getattr(getattr(start, table), name) == old
    assert [
        it for it in AT_RUN_TIME if getattr(getattr(settings.config, table), it.partition(".")[2], None) == new
    ] == [key]


def test_values_are_checked_and_named():
    settings = RuntimeSettings(Config())
    with pytest.raises(ConfigError, match=r"policy\.recall_seconds = 0: Expected `int` >= 1"):
        settings.change("policy.recall_seconds", 0)
    assert settings.config == Config()
    with pytest.raises(ConfigError, match=r"no setting 'policy\.recall'.*check-config"):
        changed(Config(), "policy.recall", 1)
    assert changed(Config(), "policy.recall_seconds", "7").policy.recall_seconds == 7, "as text, from a console"


def test_an_added_app_has_settings_of_its_own():
    start = Config()
    settings = RuntimeSettings(start)
    settings.add_app("branch", AppOverrides(open_registration=True))
    assert settings.config.accounts_of("branch").open_registration and not start.apps


def test_what_may_change_is_a_setting():
    assert set(AT_RUN_TIME) <= {key for key, _ in flat(msgspec.to_builtins(Config()))}


def test_nobody_copies_a_setting_that_may_change():
    """What a constructor reads is a copy that a change does not reach."""
    names = {key.partition(".")[2] for key in AT_RUN_TIME}
    copies = [
        f"{file}:{read.lineno} {read.attr}"
        for file in Path(lanying.__file__).parent.rglob("*.py")
        for made in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(made, ast.FunctionDef) and made.name == "__init__"
        for read in ast.walk(made)
        if isinstance(read, ast.Attribute) and read.attr in names
    ]
    assert copies == []
