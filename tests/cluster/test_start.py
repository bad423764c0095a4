"""Starts of the real server: what a first start leaves, and what a refused one says."""

import re
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from lanying.shard.store import schema
from lanying.shard.store.rocks import RocksStore
from lanying.testing.cluster import Cluster
from lanying.testing.poll import PATIENCE_S


def test_the_banner_says_where_everything_is(tmp_path):
    with Cluster(tmp_path, shards=1) as cluster:
        banner = cluster.log()
        for text in (
            cluster.url,
            f"{cluster.url}/v2/app_dns",
            "lanying",
            "admin-token",
            "fsync",
            "pulling the plug",
            "open",
            "next",
        ):
            assert text in banner, text
        assert cluster.admin_token not in banner
        with urllib.request.urlopen(f"{cluster.url}/api/health", timeout=PATIENCE_S) as answer:
            assert answer.status == 200
        assert cluster.stop() == 0


def test_the_real_server_restarts_in_place(tmp_path):
    with Cluster(tmp_path, shards=1) as cluster:
        cluster.stop()
        cluster.start()
        before = cluster.pids()
        command = [sys.executable, "-m", "lanying.cli", "restart", "--data", str(cluster.data)]
        restarted = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (restarted.returncode, restarted.stdout) == (0, "restarted the server\n"), (
            restarted.stderr + cluster.log()
        )
        assert cluster.status()["pid"] == cluster.pid and not set(before.values()) & set(cluster.pids().values())


def test_a_network_address_with_open_registration_is_warned_about(tmp_path):
    cluster = Cluster(tmp_path, shards=1)
    cluster.listen = "0.0.0.0:0"
    with cluster:
        assert "open registration on 0.0.0.0" in cluster.log() and "not encrypted" in cluster.log()


@pytest.mark.parametrize("name", ["shard-0", "gateway", "router"])
def test_a_killed_real_child_comes_back(tmp_path, name):
    with Cluster(tmp_path, shards=2) as cluster:
        cluster.wait_ready(name, cluster.kill(name))
        with urllib.request.urlopen(f"{cluster.url}/api/health", timeout=PATIENCE_S) as answer:
            assert answer.status == 200


def test_data_of_a_newer_release_is_refused_and_nothing_is_left_running(tmp_path):
    with Cluster(tmp_path, shards=2) as cluster:
        pass
    store = RocksStore(cluster.data / "shard-1")
    batch = store.batch()
    batch.put(schema.META, b"schema_version", struct.pack(">I", 99))
    batch.put(schema.META, b"schema_compat_version", struct.pack(">I", 99))
    store.write(batch)
    store.close()
    command = [
        sys.executable,
        "-m",
        "lanying.cli",
        "start",
        "--data",
        str(cluster.data),
        "--listen",
        "127.0.0.1:0",
    ]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 78, refused.stderr
    assert "needs a release that reads schema 99" in refused.stderr and "upgrade lanying" in refused.stderr
    assert refused.stdout == ""
    for pid in re.findall(r"event=child_started process=\S+ pid=(\d+)", refused.stderr):
        assert not Path(f"/proc/{pid}").exists()
