#!/bin/sh
# Runs the test suite with the path of a message compiled, as the wheels for one kind of machine have it (tools/compiled.py).
#
#   tools/test_compiled.sh [PYTEST ARGUMENTS…]        e.g. tools/test_compiled.sh tests/shard; without: the whole suite
#
# Compiles for two minutes, in a copy of the checkout that is removed at the end. Needs: make .venv/.test, gcc, python3-dev.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
copy=$(mktemp -d "${TMPDIR:-/var/tmp}/lanying-compiled-XXXXXX")
trap 'rm -rf "$copy"' EXIT
LANYING_COMPILED=1 .venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$copy/wheel" .
mkdir "$copy/src"
git ls-files -co --exclude-standard | tar -cf - -T - | tar -xf - -C "$copy/src"
cd "$copy/src"
python3 -m zipfile -e "$copy"/wheel/*.whl "$copy/unpacked"
(cd "$copy/unpacked" && find . -name '*.so') | while read -r object; do cp "$copy/unpacked/$object" "$object"; done
for made in .venv tests/compat/node_modules tests/web/node_modules; do ln -s "$top/$made" "$made"; done
PYTHONPATH=. .venv/bin/python -c 'from lanying.shard.core import tick; assert tick.__file__.endswith(".so"), "nothing is compiled"'
PYTHONPATH=. .venv/bin/python -m pytest -n 2 --dist loadscope "$@"
