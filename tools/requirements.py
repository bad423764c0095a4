"""Prints the requirements of pyproject.toml, one a line: ``requirements.py [--extras test,bench]``."""

import argparse
import tomllib
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--extras", default="", help="optional groups as well, separated by commas")
project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
found = list(project["dependencies"])
for extra in filter(None, parser.parse_args().extras.split(",")):
    found += project["optional-dependencies"][extra]
print("\n".join(found))
