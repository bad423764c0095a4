"""``lanying-cluster`` with stub children and a short patience: ``python stub_server.py start …``."""

import os
import sys
from pathlib import Path

from lanying.cli import main
from lanying.cluster.runtime import ADMIN, GATEWAY, ROUTER
from lanying.supervisor import launcher
from lanying.supervisor.plan import SHARD

# The fork server looks for stub_child there.
os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))

real_start = launcher.start


def start(read_config, **options):  # type: ignore[no-untyped-def]
    code = real_start(
        read_config, **options, modules=dict.fromkeys((SHARD, GATEWAY, ROUTER, ADMIN), "stub_child"), hung_after_s=1.0
    )
    assert code == launcher.RESTART
    os.execv(sys.executable, [sys.executable, *(argument for argument in sys.argv if argument != "--daemon")])


launcher.start = start
main.main()
