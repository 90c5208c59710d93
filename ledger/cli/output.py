"""How every command speaks: exit codes, errors in one line, JSON, tables, progress.

rich is imported when something is shown, so that ``--help`` and ``--json`` stay quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console


class ExitCode(IntEnum):
    """What a command's end means; scripts may rely on it."""

    GOOD = 0
    NO = 1  # the command worked and the answer is no
    USAGE = 2
    FAILED = 3  # the command could not do what was asked


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


def console() -> Console:
    """Where people read results."""
    from rich.console import Console

    return Console(highlight=False)


def error_console() -> Console:
    """Where people read errors and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def write_json(value: Any) -> None:
    """One JSON object on standard output, nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def fail(message: str, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Say in one line what went wrong and end."""
    _show_error(message)
    raise typer.Exit(code)


@contextmanager
def expecting(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds end the command without a traceback, one line for each that it has."""
    try:
        yield
    except kinds as error:
        *first, last = str(error).splitlines() or [type(error).__name__]
        for line in first:
            _show_error(line)
        fail(last)


def _show_error(message: str) -> None:
    from rich.markup import escape

    line = " ".join(message.split())
    error_console().print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, gone when done; nothing where nobody is looking.

    Yields a function of (done, total); a total of 0 means not known yet.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=error_console(),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
