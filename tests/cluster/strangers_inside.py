"""``python -m tests.cluster.strangers_inside DIRECTORY NETWORK``, in a network namespace of its own: attacks of one peer with all addresses
of NETWORK, and how long somebody else waits for an answer meanwhile; the last line is JSON, the seconds at the worst by attack.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import random
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from lanying.testing.cluster import Cluster
from lanying.testing.poll import until
from tests.cluster.test_strangers import ATTACKS, DEAR, Attack, Flood, honest, served
from tests.tls.ends import ClientEnd

SECONDS = 2.0
ADDRESSES = 200
OTHERS = {4: "192.0.2.1", 6: "fd5f::1"}
"""Where everybody else comes from, and goes to."""
PLAIN = ("wrong passwords", "new accounts", "refused logins", "refused logins held open", "idle kept connections")


def hello() -> bytes:
    """Where every handshake begins."""
    return ClientEnd().step()


TLS = {
    "handshakes without end": Attack(50, hello, reads=True, once=True),
    "handshakes that are slow": Attack(1500, lambda: hello()[:100]),
    "the port for TLS, silent": Attack(1500, b""),
}


def over_tls(url: str) -> float:
    """Seconds for a request through TLS, handshake included."""
    began = time.monotonic()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=20, context=context)
    connection.request("GET", "/api/health", headers={"app_id": "lanying"})
    assert connection.getresponse().read()
    connection.close()
    return time.monotonic() - began


def addresses(network: str) -> list[str]:
    """Give this machine some, and take them."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    whole = ipaddress.ip_network(network)
    found = [str(whole[0 if whole.num_addresses == 1 else 2 + n]) for n in range(min(ADDRESSES, whole.num_addresses))]
    length = whole.max_prefixlen
    somebody = OTHERS[whole.version]
    found_too = [*found, somebody]
    lines = "".join(f"addr add {one}/{length} dev lo{' nodad' if whole.version == 6 else ''}\n" for one in found_too)
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
    return found


def worst(cluster: Cluster, tls_url: str, seconds: float) -> float:
    """What somebody waits at the longest."""
    found, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        found = max(found, honest(cluster), over_tls(tls_url))
    return found


def main() -> None:
    directory, network = Path(sys.argv[1]), sys.argv[2]
    found = addresses(network)
    cluster = Cluster(directory, shards=1, listen_tls=("[::]:0" if ":" in network else "0.0.0.0:0"), **DEAR)
    cluster.listen = "[::]:0" if ":" in network else "0.0.0.0:0"
    seconds: dict[str, float] = {}
    host = f"[{OTHERS[6]}]" if ":" in network else OTHERS[4]
    with cluster:
        cluster.url = f"http://{host}:{urlsplit(cluster.url).port}"
        tls_url = f"https://{host}:{urlsplit(str(cluster.status()['tls_url'])).port}"
        honest(cluster)
        seconds["nobody attacks"] = worst(cluster, tls_url, SECONDS)
        attacks = {name: (cluster.url, ATTACKS[name]) for name in PLAIN} | {name: (tls_url, TLS[name]) for name in TLS}
        for name, (url, attack) in attacks.items():
            print(name, file=sys.stderr)
            flood = Flood(url, attack, lambda: random.choice(found))
            with flood.going():
                until("others are served", lambda: served(cluster, 2.0))
                time.sleep(1.0)
                seconds[name] = worst(cluster, tls_url, SECONDS)
        restarts = {row["name"]: row["restarts"] for row in cluster.status()["processes"] if row["restarts"]}
    assert not restarts, restarts
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
