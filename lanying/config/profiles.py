"""Board profiles: settings that fit a small machine, as TOML files in ``pi-tuning/profiles/`` (each with its memory budget)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lanying.base.errors import ConfigError

AUTO: Final = "auto"
"""The profile of the board this is."""
BOARDS: Final = (
    ("Pi 3", "pi3"),
    ("Pi 4", "pi4"),
    ("Compute Module 4", "pi4"),
    ("Pi 5", "pi5"),
    ("Compute Module 5", "pi5"),
    ("Zero 2", "zero2w"),
)
"""What a device tree's model contains, and the profile; ``tools/pi_tune.sh`` knows the same."""
MODEL: Final = Path("/proc/device-tree/model")


def directory() -> Path:
    """``pi-tuning/``: beside the package in a checkout, inside it when installed."""
    installed = Path(__file__).parents[1] / "pi-tuning"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "pi-tuning"


def names() -> list[str]:
    """The profiles there are."""
    return sorted(file.stem for file in (directory() / "profiles").glob("*.toml"))


def detect(model: Path = MODEL) -> str:
    """The profile of this board; ``generic`` for other machines."""
    try:
        text = model.read_text("utf-8", "replace")
    except OSError:
        return "generic"
    return next((profile for part, profile in BOARDS if part in text), "generic")


def file(name: str) -> Path:
    """The TOML file of a profile. :raises ConfigError: there is no such profile"""
    name = detect() if name == AUTO else name
    if name not in names():
        raise ConfigError(f"no profile {name!r}; there are: {AUTO}, {', '.join(names())}")
    return directory() / "profiles" / f"{name}.toml"
