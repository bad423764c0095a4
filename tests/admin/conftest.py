"""One server of two shards for all tests here, with consoles on its local socket and, with keys, over TCP."""

import json
import subprocess
import sys

import pytest

from lanying.admin.console.client import Address, Console
from lanying.testing.cluster import Cluster
from lanying.testing.ports import free_port


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    settings = {"admin_listen": f"127.0.0.1:{free_port(2)}", "storage_backup_path": tmp_path_factory.mktemp("backups")}
    with Cluster(tmp_path_factory.mktemp("admin"), shards=2, **settings) as cluster:
        yield cluster


@pytest.fixture
def console(server):
    with Console(Address(data=server.data)) as found:
        yield found


@pytest.fixture
def admin(server):
    """``lanying-admin`` as a program: arguments in, (exit code, result or text, standard error) out."""

    def run(*arguments, data=server.data, answer="", **environment):
        done = subprocess.run(
            [sys.executable, "-m", "lanying.admin.console", *(["--data", str(data)] if data else []), *map(str, arguments)],
            capture_output=True, text=True, timeout=90, input=answer, env=environment or None,
        )  # fmt: skip
        shown = json.loads(done.stdout) if "--json" in arguments and done.returncode == 0 else done.stdout
        return done.returncode, shown, done.stderr

    return run
