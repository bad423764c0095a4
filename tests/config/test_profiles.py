"""Board profiles: each is a good configuration, and the board finds its own."""

import re
from pathlib import Path

import pytest

from lanying.base.errors import ConfigError
from lanying.config import profiles
from lanying.config.load import layers, load, origins


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_can_be_loaded(name):
    config = load(profile=name, environment={})
    assert config.listen == "127.0.0.1:8480", "a profile never opens a server to a network"
    assert config.storage.durability == "fsync", "nor does it weaken a promise"


def test_settings_lie_over_the_profile(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("shards = 3\n")
    config = load(file, environment={}, profile="pi3")
    assert config.shards == 3 and config.storage.block_cache_mb == 8
    assert origins(layers(file, environment={}, profile="pi3"))["storage.block_cache_mb"] == "profile pi3"


def test_an_unknown_profile_names_those_there_are():
    with pytest.raises(ConfigError, match="no profile 'pi9'; there are: auto, generic, pi3, pi4, pi5, zero2w"):
        load(profile="pi9", environment={})


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4\0", "pi4"),
        ("Raspberry Pi 400 Rev 1.0\0", "pi4"),
        ("Raspberry Pi Compute Module 4 Rev 1.0\0", "pi4"),
        ("Raspberry Pi 5 Model B Rev 1.0\0", "pi5"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3\0", "pi3"),
        ("Raspberry Pi Zero 2 W Rev 1.0\0", "zero2w"),
        ("ROCKPro64\0", "generic"),
    ],
)
def test_a_board_finds_its_profile(tmp_path, model, profile):
    (tmp_path / "model").write_text(model)
    assert profiles.detect(tmp_path / "model") == profile
    assert profile in profiles.names()


def test_no_device_tree_is_no_board(tmp_path):
    assert profiles.detect(tmp_path / "absent") == "generic"


def test_the_tuning_script_knows_the_same_boards():
    script = (Path(__file__).parents[2] / "tools/pi_tune.sh").read_text()
    assert {name for found in re.findall(r"echo (\w+) ;;", script) for name in [found]} == {*profiles.names()}
