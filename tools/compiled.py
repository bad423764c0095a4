"""Build hook: the path of a message compiled to C by mypyc, from the same sources (``make wheels``).

On when ``LANYING_COMPILED=1`` is in the environment of a build: the wheel is then for this kind of machine and this version of Python.
Beside each compiled module lies its source, which Python does not read any more. Nothing is built inside the checkout: a shared object
that has grown old there would be imported instead of the source.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = (
    "lanying/base/budgets.py",
    "lanying/base/rate.py",
    "lanying/protocol/connection.py",
    "lanying/protocol/frame.py",
    "lanying/protocol/websocket.py",
    "lanying/shard/chat/*.py",
    "lanying/shard/core/*.py",
    "lanying/shard/shard.py",
    "lanying/shard/sockets.py",
    "lanying/shard/store/overlay.py",
    "lanying/shard/ticker.py",
    "lanying/shard/upkeep/inspection.py",
)
"""What runs for every message; the classes below :class:`lanying.shard.core.tick.Events` go together."""
COMPILED = os.environ.get("LANYING_COMPILED") == "1"
SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="lanying", packages=[], ext_modules=mypycify({arguments!r}, opt_level="3", group_name="lanying_path", target_dir={target!r}))
"""


def modules(root: Path) -> list[str]:
    """The files to compile, relative to the checkout."""
    found = (path for pattern in MODULES for path in root.glob(pattern) if path.name != "__init__.py")
    return sorted(str(path.relative_to(root)) for path in found)


class CompiledPath(BuildHookInterface):
    """Adds the shared objects to a wheel."""

    def dependencies(self) -> list[str]:
        """What a build needs beside hatchling: of the test environment, so that types are the ones that were checked."""
        return ["mypy[mypyc]>=2.4.1", "setuptools"] if COMPILED else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, where asked to. :raises RuntimeError: with what mypyc or the compiler says"""
        if not COMPILED or self.target_name != "wheel" or version == "editable":
            return
        root, work = Path(self.root), Path(mkdtemp(prefix="lanying-compiled-"))
        arguments = ["--config-file", str(root / "pyproject.toml"), *modules(root)]
        setup = work / "setup.py"
        setup.write_text(SETUP.format(arguments=arguments, target=str(work / "c")))
        (work / "c").mkdir()
        command = [sys.executable, setup, "build_ext", "--build-lib", work / "lib", "--build-temp", work / "temp"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"the path of a message could not be compiled:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
            )
        for built in (work / "lib").rglob("*.so"):
            build_data["force_include"][str(built)] = str(built.relative_to(work / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
