"""One ask: whatever its handler does there is one last answer, and what changes something is in the audit log, however it ended."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from lanying.admin.asks import Asks
from lanying.admin.commands.table import COMMANDS
from lanying.admin.context import AfterRestart, Argument, Command, CommandContext, Kind, ResultPage
from lanying.admin.errors import CommandError
from lanying.admin.keys import Role
from lanying.admin.messages import Again, Answer, Ask, Done, Failed, Rows
from lanying.base.errors import CallError, LanyingError
from lanying.base.refusals import Refusal


def played(
    monkeypatch: pytest.MonkeyPatch, handler: Any, ask: Ask, role: Role = Role.ADMIN, **row: Any
) -> tuple[list[Answer], list[Any]]:
    """What the console hears of a command with this handler, and what the audit log has."""
    arguments = (Argument("--password", "secret", Kind.SECRET, required=False),)
    monkeypatch.setitem(COMMANDS, "try", Command("try", "try", handler, arguments, role=Role.OPERATE, **row))
    heard: list[Answer] = []
    recorded: list[Any] = []
    server: Any = SimpleNamespace(record=lambda *entry: recorded.append(entry))

    async def answer(one: Answer) -> None:
        heard.append(one)

    async def story() -> None:
        await Asks(server, lambda work, name: asyncio.ensure_future(work)).run(ask, "night", role, answer)

    asyncio.run(story())
    return heard, recorded


def ends(how: object) -> Any:
    async def handler(context: CommandContext) -> object:
        if isinstance(how, Exception):
            raise how
        return how

    return handler


@pytest.mark.parametrize(
    ("how", "last", "outcome"),
    [
        ("ok", Done(1, "ok"), "done"),
        (ResultPage([{"a": 1}], "next"), Done(1, [{"a": 1}], "next"), "done"),
        (AfterRestart("shards outcome", "drain", 5.0), Again(1, "shards outcome", "drain", 5.0), "begun"),
        (CommandError(404, "no such thing"), Failed(1, 404, "no such thing"), "refused: 404 no such thing"),
        (CallError(Refusal.UNAVAILABLE, "later"), Failed(1, 503, "later"), "refused: 503 later"),
        (LanyingError("odd"), Failed(1, 500, "odd"), "failed: odd"),
        (KeyError("defect"), Failed(1, 500, "the admin process failed on this command, its log says why"), "failed"),
    ],
)
def test_every_end_is_one_answer_and_one_entry(
    monkeypatch: pytest.MonkeyPatch, how: object, last: Answer, outcome: str
) -> None:
    heard, recorded = played(monkeypatch, ends(how), Ask(1, "try", {"password": "hunter2"}))
    assert heard == [last]
    assert recorded == [("night", "try", {"password": "(hidden)"}, outcome)]


def test_a_dry_run_says_what_would_be_done_and_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(context: CommandContext) -> object:
        context.will("end the world")
        raise AssertionError("it was done")

    assert played(monkeypatch, handler, Ask(1, "try", dry=True)) == ([Done(1, {"would": "end the world"})], [])


def test_a_role_too_small_is_refused_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    [last], [entry] = played(monkeypatch, ends("ok"), Ask(1, "try"), Role.READ)
    assert isinstance(last, Failed) and last.code == 402 and "needs the role operate" in last.message
    assert entry[3].startswith("refused: 402")


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(context: CommandContext) -> object:
        return await asyncio.Event().wait()

    [last], [entry] = played(monkeypatch, handler, Ask(1, "try", deadline_s=0.01))
    assert isinstance(last, Failed) and last.code == 408 and "--timeout" in last.message and entry[3] == "too late"


def test_a_stream_is_row_after_row(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(context: CommandContext) -> AsyncIterator[dict[str, Any]]:
        yield {"n": 1}
        yield {"n": 2}

    heard, _ = played(monkeypatch, handler, Ask(1, "try"), streams=True)
    assert heard == [Rows(1, [{"n": 1}]), Rows(1, [{"n": 2}]), Done(1)]


def test_a_command_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    [last], recorded = played(monkeypatch, ends("ok"), Ask(1, "no such"))
    assert isinstance(last, Failed) and last.code == 404 and "`help`" in last.message and recorded == []
