"""What the tests of this folder need beside Python: skip with a reason, fail in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

MODULES = Path(__file__).parent / "node_modules"


def need(package: str, command: str = "node") -> None:
    """Skip unless ``command`` is installed and the Node package is there."""
    missing = (
        f"{command} is not installed"
        if shutil.which(command) is None
        else "run `npm ci` in tests/web (make test does)"
        if not (MODULES / package).exists()
        else ""
    )
    if missing and os.environ.get("CI") != "true":
        pytest.skip(missing)
    assert not missing, missing
