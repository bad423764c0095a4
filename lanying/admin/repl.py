"""The interactive console: the same commands with history, completion from the table, and help."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import NestedCompleter
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import CompleteStyle

from lanying.admin import contexts

Words = dict[str, "Words | None"]
LEAVE = ("exit", "quit", "q")


def words(group: click.Group) -> Words:
    """Completions: commands, then their options."""
    found: Words = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found[name] = words(command)
        else:
            options: Words = {
                option: None
                for parameter in command.params
                for option in parameter.opts
                if isinstance(parameter, click.Option)
            }
            found[name] = options or None
    return found


def interact(group: click.Group, run: Callable[[list[str]], object]) -> None:
    """Read lines until ``exit`` or Ctrl-D; ``run`` takes the words of each."""
    known = words(group)
    history = contexts.file().with_name("history")
    history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        complete_style=CompleteStyle.READLINE_LIKE,
        completer=NestedCompleter.from_nested_dict({**known, "help": known, "exit": None}),
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
