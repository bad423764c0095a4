"""Is there a wheel for aarch64 of everything a Pi installs, also for files in a bucket? Exit code 1 and the names when not.

Asks pip to resolve the requirements of ``pyproject.toml`` for aarch64 and CPython 3.11, 3.12 and 3.13, without installing anything. The
benchmark's histogram library has no such wheel: on a Pi it is compiled (``apt install gcc python3-dev``).
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
GLIBC_MINORS = (36, 35, 34, 31, 28, 27, 26, 24, 17)
"""Wheels for any glibc up to Debian 12's 2.36."""


def resolve(version: str, requirements: list[str]) -> tuple[str, list[str], str]:
    """Version, the wheels pip would install, and its complaint."""
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in GLIBC_MINORS] + ["manylinux2014_aarch64", "any"]
    with tempfile.TemporaryDirectory() as nowhere:
        command = [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-",
            "--only-binary=:all:", "--target", nowhere, "--implementation", "cp", "--python-version", version,
            "--abi", f"cp{version.replace('.', '')}", "--abi", "abi3", "--abi", "none",
            *(part for platform in platforms for part in ("--platform", platform)),
            *requirements,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return version, [], done.stderr.strip()
    wheels = [item["download_info"]["url"].rpartition("/")[2] for item in json.loads(done.stdout)["install"]]
    return version, wheels, ""


def main() -> int:
    """Print one line per version."""
    printed = subprocess.run(
        [sys.executable, Path(__file__).with_name("requirements.py"), "--extras", "s3"],
        capture_output=True,
        text=True,
        check=True,
    )
    requirements = printed.stdout.splitlines()
    failed = False
    with ThreadPoolExecutor() as pool:
        for version, wheels, complaint in pool.map(lambda version: resolve(version, requirements), VERSIONS):
            failed = failed or bool(complaint)
            native = sum("aarch64" in wheel for wheel in wheels)
            print(complaint or f"CPython {version}: {len(wheels)} wheels, {native} of them for aarch64, none missing")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
