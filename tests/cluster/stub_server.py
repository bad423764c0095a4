"""``lanying-cluster`` with stub children and a short patience: ``python stub_server.py start …``."""

import os
import sys
from pathlib import Path

from lanying.cli import main
from lanying.cluster.runtime import ADMIN, GATEWAY, ROUTER
from lanying.supervisor import launcher
from lanying.supervisor.plan import SHARD

CHILD = (sys.executable, str(Path(__file__).with_name("stub_child.py")))

real_start = launcher.start


def start(read_config, **options):  # type: ignore[no-untyped-def]
    code = real_start(
        read_config, **options, commands=dict.fromkeys((SHARD, GATEWAY, ROUTER, ADMIN), CHILD), hung_after_s=1.0
    )
    assert code == launcher.RESTART
    os.execv(sys.executable, [sys.executable, *(argument for argument in sys.argv if argument != "--daemon")])


launcher.start = start
main.main()
