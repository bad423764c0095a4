#!/usr/bin/env python
"""Are there known vulnerabilities in what the lock names? Asks the service of PyPI through pip-audit.

Exit 0: none are known, or the service could not be asked, which one line says. 1: there are some.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements/server.lock"


def judge(output: str, why: str) -> tuple[int, str]:
    """Exit code and line for what pip-audit wrote to its standard output and error."""
    try:
        rows = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = why.strip().rpartition("\n")[2] or "no answer"
        return 0, f"vulnerability check SKIPPED, the service could not be asked: {last}"
    found = [f"{row['name']} {row['version']}: {flaw['id']}" for row in rows for flaw in row.get("vulns", ())]
    if found:
        return 1, f"known vulnerabilities, raise the lower bounds and run `make lock`: {'; '.join(found)}"
    unknown = [row["name"] for row in rows if "skip_reason" in row]
    if unknown:
        return (
            0,
            f"vulnerability check SKIPPED for {len(unknown)} of {len(rows)} packages, which the service does not know here",
        )
    return 0, f"no known vulnerabilities in {len(rows)} packages"


def main() -> int:
    """Ask, print a line."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--format=json",
        "--progress-spinner=off",
        "--disable-pip",
        "--require-hashes",
    ]
    done = subprocess.run([*command, f"--requirement={LOCK}"], capture_output=True, text=True, timeout=300)
    code, line = judge(done.stdout, done.stderr)
    print(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
