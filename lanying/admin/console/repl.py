"""The interactive console: the same commands with history, completion from the table, and help."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable

import click
from click.shell_completion import ShellComplete
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import CompleteStyle

from lanying.admin.console import contexts

LEAVE = ("exit", "quit", "q")


class Completions(Completer):
    """What click knows of a line: commands, options and their values, wherever they stand."""

    def __init__(self, group: click.Group) -> None:
        self._click = ShellComplete(group, {}, "lanying-admin", "")

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Completions of the word before the cursor."""
        text = document.text_before_cursor
        word = "" if not text or text[-1].isspace() else text.split()[-1]
        try:
            before = shlex.split(text[: len(text) - len(word)])
        except ValueError:  # inside of quotes
            return
        found = [item.value for item in self._click.get_completions(before[before[:1] == ["help"] :], word)]
        if not before:
            found += [value for value in ("help", "exit") if value.startswith(word)]
        for value in found:
            yield Completion(value, start_position=-len(word))


class History(FileHistory):
    """For its owner alone, and without lines that have a password."""

    def __init__(self, file: str) -> None:
        os.close(os.open(file, os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.chmod(file, 0o600)  # an older one
        super().__init__(file)

    def store_string(self, string: str) -> None:
        """Keep a line."""
        if "--password" not in string:
            super().store_string(string)


def interact(group: click.Group, run: Callable[[list[str]], object]) -> None:
    """Read lines until ``exit`` or Ctrl-D; ``run`` takes the words of each."""
    history = contexts.file().with_name("history")
    history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prompt: PromptSession[str] = PromptSession(
        history=History(str(history)),
        complete_style=CompleteStyle.READLINE_LIKE,
        completer=Completions(group),
    )
    click.echo("lanying admin console; Tab completes, `help` lists commands, `exit` or Ctrl-D leaves")
    while True:
        try:
            line = prompt.prompt("lanying> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        try:
            arguments = shlex.split(line)
        except ValueError as error:
            click.echo(f"{error}: close the quotes", err=True)
            continue
        if not arguments:
            continue
        if arguments[0] in LEAVE:
            return
        if arguments[0] == "help":
            arguments = [*arguments[1:], "--help"]
        run(arguments)
