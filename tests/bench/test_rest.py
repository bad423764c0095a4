"""The load of REST reads, against a real server."""

import json
import subprocess
import sys


def test_every_call_of_the_mix_succeeds_and_is_timed(cluster, tmp_path):
    command = (sys.executable, "-m", "bench.cli", "rest", "--url", cluster.url, "--data", str(cluster.data), "--json")
    options = ("--users", "4", "--rate", "40", "--duration", "1", "--warm", "0.2", "--output", str(tmp_path / "runs"))
    done = subprocess.run((*command, *options), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(done.stdout)
    assert record["errors"] == {}
    assert record["figures"]["requests"] == record["latency"]["request"]["count"] == 40
    assert record["figures"]["cpu_ms_per_request"] > 0
