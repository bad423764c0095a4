"""Pebble, a small ACME authority (github.com/letsencrypt/pebble), as a process, and a name server that leads every name to this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from lanying.config.certificates import AUTHORITY, SERVER, SERVER_KEY
from lanying.testing.poll import until
from lanying.tls.authority import ensure

PROGRAM = shutil.which("pebble") or str(Path.home() / "go/bin/pebble")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Pebble:
    """:param http: where it looks for http-01, ``tls``: for tls-alpn-01

    :ivar directory_url: of the authority
    :ivar trusted: PEM file of whoever vouches for its own https
    """

    def __init__(self, directory: Path, http: int, tls: int) -> None:
        if not os.access(PROGRAM, os.X_OK):
            pytest.skip("pebble is not installed: go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3")
        ensure(directory, ["localhost", "127.0.0.1"], datetime.now(UTC))
        self.trusted = directory / AUTHORITY
        self._port = free_port()
        self.directory_url = f"https://localhost:{self._port}/dir"
        config = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "certificate": str(directory / SERVER),
            "privateKey": str(directory / SERVER_KEY),
            "httpPort": http,
            "tlsPort": tls,
        }
        self._config = directory / "pebble.json"
        self._config.write_text(json.dumps({"pebble": config}))
        self._log = directory / "pebble.log"
        self._names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._names.bind(("127.0.0.1", 0))
        self._streams = socket.create_server(self._names.getsockname())

    def __enter__(self) -> Self:
        threading.Thread(target=self._answer_names, daemon=True).start()
        threading.Thread(target=self._answer_streams, daemon=True).start()
        server = f"127.0.0.1:{self._names.getsockname()[1]}"
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-config", str(self._config), "-dnsserver", server],
                stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        until("pebble listens", self._listens, saw=self._log.read_text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._names.close()
        self._streams.close()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port)).close()
        except OSError:
            return False
        return True

    def _answer_names(self) -> None:
        while True:
            try:
                asked, peer = self._names.recvfrom(1500)
            except OSError:
                return
            self._names.sendto(named_here(asked), peer)

    def _answer_streams(self) -> None:
        while True:
            try:
                stream, _ = self._streams.accept()
            except OSError:
                return
            with stream:
                while size := stream.recv(2):
                    answer = named_here(stream.recv(int.from_bytes(size, "big")))
                    stream.sendall(len(answer).to_bytes(2, "big") + answer)


def named_here(asked: bytes) -> bytes:
    """RFC 1035: A 127.0.0.1 for every question of that type, and nothing for others."""
    question = asked[12 : asked.index(b"\0", 12) + 5]
    is_a = question[-4:-2] == b"\0\1"
    head = asked[:2] + struct.pack(">HHHHH", 0x8580, 1, int(is_a), 0, 0)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if is_a else b""
    return head + question + answer
