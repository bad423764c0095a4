"""Which certificate a newcomer is shown."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lanying.cluster.launch import Launch
from lanying.cluster.shardmap import ShardMap
from lanying.config.certificates import CHALLENGES, DIRECTORY
from lanying.config.schema import Config
from lanying.tls import acme, shown
from lanying.tls.authority import ensure
from tests.tls.ends import ClientEnd, made


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **config: object) -> tuple[shown.Shown, list[tuple[str, ...]]]:
    """A started one, with the programs it ran; those make nothing but the server's own certificate."""
    ran: list[tuple[str, ...]] = []

    async def program(module: str, *arguments: str) -> int:
        ran.append((module, *arguments))
        if module == "lanying.tls.authority":
            ensure(Path(arguments[0]), arguments[1:], datetime.now(UTC))
            return 0
        return 1

    monkeypatch.setattr(shown, "_run", program)
    launch = Launch(
        name="tls",
        config=Config(listen_tls="0.0.0.0:443", **config),
        data=str(tmp_path),
        shard_map=ShardMap.even(1),
        apps=(),
    )
    found = shown.Shown(launch)

    async def start() -> None:
        await found.start()
        found._due = 0.0  # as if the time had come
        await asyncio.sleep(0)
        found.stop()

    asyncio.run(start())
    return found, ran


def test_the_servers_own_is_made_before_anybody_is_served(tmp_path, monkeypatch):
    found, ran = run(tmp_path, monkeypatch, tls_names=("chat.school.lan",))
    assert ran[0][0] == "lanying.tls.authority" and {"chat.school.lan", "localhost"} <= set(ran[0])
    assert found.context(b"") is found.context(b"")


def test_files_are_taken_as_they_are_and_nothing_is_run(tmp_path, monkeypatch):
    directory = made()
    _, ran = run(
        tmp_path, monkeypatch, tls_certificate=str(directory / "server.pem"), tls_key=str(directory / "server-key.pem")
    )
    assert ran == []


def test_until_a_public_authority_has_issued_the_servers_own_is_shown(tmp_path, monkeypatch):
    found, ran = run(
        tmp_path, monkeypatch, tls="acme", tls_names=("chat.example",), acme_directory="https://acme.example/dir"
    )
    assert [module for module, *_ in ran] == ["lanying.tls.authority", "lanying.tls.acme"]
    assert ran[1][2:] == ("https://acme.example/dir", "tls-alpn-01", "", "chat.example")
    before = found.context(b"")
    own = tmp_path / DIRECTORY / "acme-acme.example"
    ensure(own, ["chat.example"], datetime.now(UTC))
    assert found._certificates.look() and found.context(b"") is not before


@pytest.mark.parametrize(("port", "challenge"), [(443, "tls-alpn-01"), (8443, "http-01")])
def test_names_are_proved_over_the_port_that_the_server_has(port, challenge):
    assert Config(listen_tls=f"0.0.0.0:{port}").challenge == challenge
    assert Config(listen_tls=f"0.0.0.0:{port}", acme_challenge="http-01").challenge == "http-01"


def test_a_proof_is_shown_to_whoever_asks_for_it_by_name_and_to_nobody_else(tmp_path, monkeypatch):
    found, _ = run(
        tmp_path, monkeypatch, tls="acme", tls_names=("chat.example",), acme_directory="https://acme.example/dir"
    )
    directory = tmp_path / DIRECTORY / CHALLENGES
    directory.mkdir()
    (directory / "chat.example.pem").write_bytes(acme._alpn_certificate("chat.example", "token.thumb"))

    def hello(name: str, protocol: str) -> bytes:
        context = ssl.create_default_context()
        context.set_alpn_protocols([protocol])
        return ClientEnd(name, context).step()

    usual = found.context(b"")
    assert found.context(hello("chat.example", "acme-tls/1")) is not usual
    assert found.context(hello("other.example", "acme-tls/1")) is usual
    assert found.context(hello("chat.example", "http/1.1")) is usual


def test_a_program_that_cannot_be_started_has_failed_and_ends_nothing(monkeypatch, caplog):
    async def cannot(*_: object) -> None:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", cannot)
    assert asyncio.run(shown._run("lanying.tls.acme")) == 1
    assert "event=program_not_started module=lanying.tls.acme" in caplog.text
