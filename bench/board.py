"""Temperature, clock and throttling, where the machine tells; a Raspberry Pi does."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any, Final

THROTTLED: Final = {
    0: "under-voltage",
    1: "clock capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage has occurred",
    17: "clock capping has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}
"""Bits of ``vcgencmd get_throttled``."""


def model(root: Path = Path("/")) -> str:
    """Of a board with a device tree, for example ``Raspberry Pi 4 Model B Rev 1.4``; empty elsewhere."""
    with contextlib.suppress(OSError):
        return (root / "proc/device-tree/model").read_text().rstrip("\0\n")
    return ""


def is_pi() -> bool:
    """Whether this is a Raspberry Pi."""
    return "Raspberry Pi" in model()


def look(root: Path = Path("/")) -> dict[str, Any]:
    """``celsius``, ``clock_mhz``, ``throttled`` (text), as far as known."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        found["celsius"] = int((root / "sys/class/thermal/thermal_zone0/temp").read_text()) / 1000
    with contextlib.suppress(OSError, ValueError):
        found["clock_mhz"] = int((root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").read_text()) / 1000
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        found["throttled"] = explain(_throttled(root))
    return found


def _throttled(root: Path) -> int:
    file = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
    if file.exists():
        return int(file.read_text(), 16)
    done = subprocess.run(("vcgencmd", "get_throttled"), capture_output=True, text=True, timeout=5, check=True)
    return int(done.stdout.strip().partition("=")[2], 16)


def explain(bits: int) -> str:
    """What the bits say; ``no`` for none."""
    return ", ".join(text for bit, text in THROTTLED.items() if bits >> bit & 1) or "no"
