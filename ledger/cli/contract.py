"""``health-ledger contract``: tools for authors of contracts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import authoring
from ledger.cli.output import AsJson, ExitCode, console, expecting, write_json

if TYPE_CHECKING:
    from ledger.contracts.problems import Problem

group = typer.Typer(help="Write, test and check contracts.", no_args_is_help=True)
group.command("new")(authoring.new)
group.command("test")(authoring.run_tests)

_FILES = typer.Argument(help="Contract sources.", exists=True, dir_okay=False)


@group.command()
def check(files: Annotated[list[Path], _FILES], as_json: AsJson = False) -> None:
    """Check sources against the contract language; ends with 1 if a chain would refuse one."""
    from ledger.contracts.checker import check as check_source

    with expecting(OSError, UnicodeDecodeError):
        found = {str(file): check_source(file.read_text(encoding="utf-8")) for file in files}
    good = not any(found.values())
    if as_json:
        write_json(
            {
                "valid": good,
                "problems": [
                    {
                        "file": file,
                        "line": problem.line,
                        "column": problem.column,
                        "code": problem.code,
                        "message": problem.message,
                        "hint": problem.hint,
                    }
                    for file, problems in found.items()
                    for problem in problems
                ],
            }
        )
    else:
        _show(found)
    raise typer.Exit(ExitCode.GOOD if good else ExitCode.NO)


def _show(found: dict[str, list[Problem]]) -> None:
    from rich.markup import escape

    out = console()
    for file, problems in found.items():
        if not problems:
            out.print(f"[green]valid[/] {escape(file)}", soft_wrap=True)
        for problem in problems:
            place = escape(f"{file}:{problem.line}:{problem.column}")
            out.print(
                f"{place}: [bold red]{problem.code}[/] {escape(problem.message)}", soft_wrap=True
            )
            if problem.hint:
                out.print(f"  [dim]{escape(problem.hint)}[/]", soft_wrap=True)
