"""Conversions on the gateway's side: children do the work, and a failure is not repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PIL import Image

from lanying.base.errors import CallError
from lanying.gateway.services import conversions
from lanying.gateway.services.conversions import Conversions
from lanying.testing.poll import PATIENCE_S


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_failed_is_tried_again_after_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    make = Conversions(clock)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"no picture")

    assert not asyncio.run(make.thumbnail("key", source, "image/png", 320, target))
    assert make.hopeless("key") and not make.hopeless("another")
    clock.now += 3601
    assert not make.hopeless("key")
    Image.new("RGB", (640, 640)).save(source, "PNG")
    assert asyncio.run(make.thumbnail("key", source, "image/png", 320, target))
    assert not make.hopeless("key") and target.stat().st_size


def test_without_ffmpeg_nothing_is_given_up_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    make = Conversions(Clock())
    assert not asyncio.run(make.cover("key", tmp_path / "a", "video/mp4", tmp_path / "b"))
    assert not make.hopeless("key")


def test_one_address_does_not_take_all_the_queue(tmp_path: Path) -> None:
    async def story() -> None:
        make = Conversions(Clock())
        order: list[str] = []

        async def hold(peer: str) -> None:
            async with make.turn(peer):
                order.append(peer)
                await asyncio.sleep(0)

        flood = [asyncio.create_task(hold("flood")) for _ in range(200)]
        await asyncio.sleep(0)
        await hold("honest")
        assert order.index("honest") <= 3
        ends = await asyncio.gather(*flood, return_exceptions=True)
        assert 0 < sum(isinstance(end, CallError) for end in ends) < 100

    asyncio.run(story())


def test_a_client_that_leaves_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        started: list[asyncio.subprocess.Process] = []
        there = asyncio.Event()
        begin = asyncio.create_subprocess_exec

        async def noted(*command: str, **options: int) -> asyncio.subprocess.Process:
            process = await begin(*command, **options)  # type: ignore[arg-type]
            started.append(process)
            there.set()
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        work = asyncio.create_task(conversions._child("x", 256, "run", "/bin/sleep", "60"))
        await there.wait()
        work.cancel()
        assert await asyncio.wait_for(started[0].wait(), PATIENCE_S) == -9

    asyncio.run(story())
