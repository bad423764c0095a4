"""docs/states.md is what the tables in the code say."""

from pathlib import Path

import lanying
from tools import states


def test_the_page_of_state_machines_is_current():
    assert states.PAGE.read_text() == states.page(), "run tools/states.py"


def test_every_table_of_transitions_is_on_the_page():
    root = Path(lanying.__file__).parent
    tables = {
        ".".join(("lanying", *file.relative_to(root).with_suffix("").parts))
        for file in root.rglob("*.py")
        if "TRANSITIONS: Final" in file.read_text()
    }
    assert tables == set(states.MACHINES) | {"lanying.base.states"}
