"""``lanying-bench`` as a server's installation has it."""

import sys

import pytest

from bench import __main__ as entry
from bench import options


def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch, capsys):
    for module in [name for name in sys.modules if name.startswith("bench.") and name != "bench.__main__"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "hdrh", None)
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == options.EXIT_CANNOT
    assert "-m pip install hdrhistogram" in capsys.readouterr().err
