"""``lanying-admin``: the commands of the table, one at a time or interactively, and the local ones (keys, contexts)."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from lanying.admin.commands import top
from lanying.admin.commands.table import TABLE
from lanying.admin.console import contexts, local, render
from lanying.admin.console.client import Console, Result
from lanying.admin.console.session import ConsoleOptions, Target
from lanying.admin.context import Argument, Command, Kind
from lanying.admin.errors import CommandError
from lanying.base import limits, paths
from lanying.base.errors import LanyingError

EXIT_CODES = {
    0: "done; of a live command also: interrupted, which is how it ends",
    1: "refused or failed, the reason is on standard error; or `doctor` found something bad (warnings are 0)",
    2: "unknown command, option or argument",
    3: "not running, or not reachable",
    4: "not allowed for this key",
    130: "interrupted (not a live command), or answered with no",
}
_NEGATIVE = re.compile(r"-[0-9.]+")
_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())


def execute(session: ConsoleOptions, command: Command, arguments: dict[str, Any]) -> None:
    """Run one command and show what comes.

    :raises CommandError: refused or failed
    :raises click.Abort: the person said no
    :raises click.exceptions.Exit: done, and something is bad
    """
    for argument in command.arguments:
        if argument.kind is Kind.SECRET and not arguments.get(argument.key):
            arguments[argument.key] = _secret(argument.key)
    timeout_s = session.timeout_s or command.deadline_s
    bar = _Bar(session)
    with Console(session.target.address(), bar) as console, contextlib.closing(bar):
        if command.streams:
            _stream(session, console, command, arguments)
            return
        if command.destructive and not session.yes:
            would = console.run(command.name, arguments, dry=True, timeout_s=timeout_s).value["would"]
            click.confirm(f"{would}. Go on?", abort=True, err=True)
        _pages(session, console, command, arguments, timeout_s)


def _secret(key: str) -> str:
    """What somebody types, unseen, twice; of a script two lines on standard input.

    :raises CommandError: nobody is there to be asked
    :raises click.Abort: the person would not
    """
    try:
        return str(click.prompt(key.capitalize(), hide_input=True, confirmation_prompt=True, err=True))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise CommandError(400, f"no {key}: give it with --{key}, or in two lines on standard input") from None


class _Bar:
    """Progress on standard error, from the first time there is any."""

    def __init__(self, session: ConsoleOptions) -> None:
        self._quiet = session.as_json or not session.notes.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), console=session.notes, transient=True, disable=self._quiet
        )
        self._task: TaskID | None = None

    def __call__(self, done: float, total: float, text: str) -> None:
        if not total and not text:
            return
        if self._task is None:
            self._task = self._bar.add_task(text, total=None)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total or None, description=text)

    def close(self) -> None:
        """Clear it away."""
        if self._task is not None:
            self._bar.stop()


def _pages(
    session: ConsoleOptions, console: Console, command: Command, arguments: dict[str, Any], timeout_s: float
) -> None:
    """All pages for a script; for a person the first, and the next ones while they want them."""
    page = partial(console.run, command.name, arguments, limit=session.limit, timeout_s=timeout_s)
    result = page()
    value = result.value
    if session.as_json:
        while result.cursor:
            result = page(cursor=result.cursor)
            value += result.value
        click.echo(msgspec.json.format(msgspec.json.encode(value)))
    else:
        render.show(session.screen, command, value)
        _more_pages(session, command, result, page)
    if command.judges and any(row["state"] == "bad" for row in value):
        raise click.exceptions.Exit(1)


def _more_pages(session: ConsoleOptions, command: Command, result: Result, page: Callable[..., Result]) -> None:
    while result.cursor and _wants_more(session):
        result = page(cursor=result.cursor)
        render.show(session.screen, command, result.value)


def _wants_more(session: ConsoleOptions) -> bool:
    if session.screen.is_terminal and sys.stdin.isatty():
        with contextlib.suppress(click.Abort):  # Ctrl-C and Ctrl-D are a no
            return click.confirm("There is more. Show it?", default=True, err=True)
        return False
    more = f"--limit {min(10 * session.limit, limits.ADMIN_ROWS)} shows more at once, "
    session.notes.print(
        f"there is more: {more if session.limit < limits.ADMIN_ROWS else ''}--json everything", style="dim"
    )
    return False


def _stream(session: ConsoleOptions, console: Console, command: Command, arguments: dict[str, Any]) -> None:
    """Until the server ends or Ctrl-C."""
    in_place = command.name == "top" and session.screen.is_terminal and not session.as_json
    live = Live(console=session.screen, auto_refresh=False) if in_place else None
    with (
        contextlib.suppress(KeyboardInterrupt),
        contextlib.closing(console.stream(command.name, arguments)) as stream,
        live or contextlib.nullcontext(),
    ):
        for row in stream:
            if live is not None:
                live.update(top.screen(row), refresh=True)
            elif session.as_json:
                click.echo(msgspec.json.encode(row))
            else:
                render.show(session.screen, command, row)


def _parameter(argument: Argument) -> click.Parameter:
    kind: click.ParamType[Any] = click.INT if argument.kind is Kind.NUMBER else click.STRING
    if argument.choices:
        kind = click.Choice(argument.choices)
    if not argument.is_option:
        return click.Argument(
            [argument.key],
            required=argument.required,
            nargs=-1 if argument.many else 1,
            type=kind,
            metavar=argument.name.upper(),
            shell_complete=partial(_suggested, argument) if argument.suggestions else None,
        )
    flag = argument.kind is Kind.FLAG
    return click.Option(
        [argument.name],
        help=argument.help,
        type=None if flag else kind,
        is_flag=flag,
        multiple=argument.many,
        default=argument.default,
    )


def _suggested(argument: Argument, *given: Any) -> list[CompletionItem]:
    return [CompletionItem(value) for value in argument.suggestions if value.startswith(given[-1])]


class _Command(click.Command):
    """Takes ``-1`` for the number it is; click takes it for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = any(_NEGATIVE.fullmatch(word) for word in args)
        return super().parse_args(ctx, args)


def _click(command: Command) -> click.Command:
    def run(as_json: bool, yes: bool, limit: int | None, timeout: float | None, **given: Any) -> None:
        session = click.get_current_context().find_object(ConsoleOptions)
        assert session is not None
        arguments = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in given.items()
            if value not in (None, ())
        }
        execute(session.with_options(as_json, yes, limit, timeout), command, arguments)

    described = [
        f"  {argument.name.upper():<12} {argument.help}" for argument in command.arguments if not argument.is_option
    ]
    text = f"{command.help[:1].upper()}{command.help[1:]}.\n\nNeeds the role {command.role.name.lower()}."
    if described:
        text += "\n\n\b\n" + "\n".join(described)
    return _Command(
        command.name.split()[-1], params=[*(_parameter(argument) for argument in command.arguments), *_common()], callback=run, help=text,
        short_help=command.help,
    )  # fmt: skip


def _common() -> list[click.Option]:
    """Options that may stand before a command and behind it."""
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="JSON instead of tables, all pages, no progress."),
        click.Option(["--yes"], is_flag=True, help="Do not ask before a destructive command."),
        click.Option(["--limit"], type=click.IntRange(1, limits.ADMIN_ROWS), help="Rows of a page (default 100)."),
        click.Option(
            ["--timeout"], type=click.FloatRange(0.1), help="Seconds it may take (default: as the command says)."
        ),
    ]


def tree(root: click.Group, table: Sequence[Command] = TABLE) -> click.Group:
    """The table as commands and groups of ``root``."""
    for command in table:
        *group, _ = command.name.split()
        parent = root
        for word in group:
            found = parent.commands.get(word)
            if not isinstance(found, click.Group):
                names = ", ".join(other.name.split()[-1] for other in table if other.name.startswith(f"{word} "))
                found = click.Group(word, help=f"{word.capitalize()}: {names}.", short_help=names)
                parent.add_command(found)
            parent = found
        parent.add_command(_click(command))
    return root


@click.group(
    invoke_without_command=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--context",
    "name",
    metavar="NAME",
    help="A server added with `context add` (default: the one in use, else ./data).",
)
@click.option("--data", metavar="DIR", help="Data directory of a server on this machine.")
@click.option("--server", metavar="HOST:PORT", help="A server elsewhere; needs --key.")
@click.option("--key", metavar="FILE", help="Key file that `keygen` wrote on that server.")
@click.pass_context
def cli(
    context: click.Context,
    name: str | None,
    data: str | None,
    server: str | None,
    key: str | None,
    as_json: bool,
    yes: bool,
    limit: int | None,
    timeout: float | None,
) -> None:  # fmt: skip
    """Look after a lanying server. Without a command it is interactive: history, completion, help."""
    outer: ConsoleOptions | None = context.obj  # of the interactive console
    target = Target(partial(contexts.address, name, data, server, key))
    if outer is None:
        session = ConsoleOptions(target)
    else:
        session = replace(outer, target=target) if name or data or server or key else outer
    context.obj = session = session.with_options(as_json, yes, limit, timeout)
    if context.invoked_subcommand is not None:
        return
    if outer is not None:
        raise click.UsageError("say a command as well; `help` lists them")
    from lanying.admin.console.repl import interact

    session.target.address()
    interact(cli, lambda arguments: run(cli, arguments, session))


def main() -> None:
    """Entry point: errors of ours become one line and an exit code."""
    sys.exit(run(cli, sys.argv[1:]))


def run(group: click.Group, arguments: list[str], session: ConsoleOptions | None = None) -> int:
    """Run a line; its exit code."""
    try:
        code = group.main(arguments, prog_name="lanying-admin", standalone_mode=False, obj=session)
    except click.Abort:
        click.echo("not done", err=True)
        return 130
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption) and any(error.option_name in option.opts for option in group.params):
            text = f"{error.option_name} stands before the command: lanying-admin {error.option_name} … COMMAND"
            error = click.UsageError(text, error.ctx)
        error.show()
        return error.exit_code
    except CommandError as error:
        click.echo(f"lanying-admin: {error}", err=True)
        return {503: 3, 402: 4}.get(error.code, 1)
    except LanyingError as error:
        click.echo(f"lanying-admin: {error}", err=True)
        return 1
    except OSError as error:  # a path somebody gave, or a full disk
        click.echo(f"lanying-admin: {paths.say(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0  # of an Exit; commands return nothing


cli.params += _common()
tree(cli)
for _command in local.COMMANDS:
    cli.add_command(_command)
