"""Prints the requirements of pyproject.toml, one a line: ``requirements.py [--extras test,bench]``."""

import argparse
import re
import tomllib
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--extras", default="", help="optional groups as well, separated by commas")
project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
own = re.compile(rf"{project['name']}\[(.+)\]")


def of(extras: str) -> list[str]:
    """Requirements of groups, those of groups they name (``lanying[s3]``) in their place."""
    found = []
    for extra in filter(None, extras.split(",")):
        for name in project["optional-dependencies"][extra]:
            group = own.fullmatch(name)
            found += of(group[1]) if group else [name]
    return found


print("\n".join([*project["dependencies"], *of(parser.parse_args().extras)]))
