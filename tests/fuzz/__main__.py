"""``python -m tests.fuzz TARGET [--runs N] [--minutes M] [--seed S] [--guided] [FILE…]``: one target for long.

With ``--guided`` coverage leads it, and inputs that reached something new go to ``--found DIR``; without, chance and the corpus.
FILEs (or folders) are played instead. Ends with 1 and the input when something was found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.fuzz.runs import Run, kept
from tests.fuzz.target import Found
from tests.fuzz.targets import NAMES, target


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("target", choices=[*NAMES, "all"])
    parser.add_argument("--runs", type=int, default=1 << 62, help="inputs for each target")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--guided", action="store_true", help="by coverage: needs the extra fuzz (pip install 'lanying[fuzz]')"
    )
    parser.add_argument(
        "--found", type=Path, default=None, help="where a guided run keeps inputs that reach something new"
    )
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_args()
    if asked.guided and asked.target == "all":
        parser.error("a guided run has one target")
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    try:
        for name in NAMES if asked.target == "all" else [asked.target]:
            with begun(name, asked) as run:
                if asked.files:
                    for data in played(asked.files):
                        run.take(data)
                elif asked.guided:
                    run.guided([f"-seed={seed}", *folders(run, asked.found)])
                else:
                    run.plain(seed)
                run.end()
    except Found as found:
        print(found)
        return 1
    return 0


def begun(name: str, asked: argparse.Namespace) -> Run:
    """A run of a target. What a guided one is to follow is imported here."""
    imports: Any = nullcontext()
    if asked.guided:
        import atheris

        imports = atheris.instrument_imports(include=["lanying"])
    with imports:
        made = target(name)
    return Run(name, made, asked.runs, asked.minutes * 60, lambda text: print(text, flush=True))


def folders(run: Run, found: Path | None) -> list[str]:
    """Of a guided run: the first gets what is new."""
    begun_with = Path(tempfile.mkdtemp(prefix="lanying-fuzz-seeds-"))
    for number, data in enumerate(kept(run.name) + run.target.seeds()):
        (begun_with / f"{number:04}").write_bytes(data)
    new = found or Path(tempfile.mkdtemp(prefix="lanying-fuzz-new-"))
    new.mkdir(parents=True, exist_ok=True)
    return [str(new), str(begun_with)]


def played(files: list[Path]) -> list[bytes]:
    """Contents; of a folder, of all its files in order."""
    single = [inner for file in files for inner in (sorted(file.iterdir()) if file.is_dir() else [file])]
    return [file.read_bytes() for file in single]


if __name__ == "__main__":
    sys.exit(main())
