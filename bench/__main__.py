"""``lanying-bench`` where its own packages are missing: a server's installation has none of them."""

from __future__ import annotations

import sys

EXIT_CANNOT = 3
"""As :data:`bench.options.EXIT_CANNOT`, which cannot be imported without them."""
_PACKAGES = {"hdrh": "hdrhistogram"}
"""Packages of the extra ``bench`` by the module that is imported."""


def main() -> None:
    """Entry point."""
    try:
        from bench.cli import main as run
    except ModuleNotFoundError as error:
        missing = _PACKAGES.get((error.name or "").partition(".")[0])
        if missing is None:
            raise
        print(f"lanying-bench: {missing} is not installed: {sys.executable} -m pip install {missing}", file=sys.stderr)
        sys.exit(EXIT_CANNOT)
    run()


if __name__ == "__main__":
    main()
