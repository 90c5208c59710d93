"""``health-ledger contract``: tools for authors of contracts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import authoring, lifecycle, simulate
from ledger.cli.output import AsJson, ExitCode, console, expecting, write_json

if TYPE_CHECKING:
    from ledger.contracts.problems import Problem
    from ledger.contracts.summary import Summary

group = typer.Typer(
    help="Write, test and check contracts, and change them by vote.", no_args_is_help=True
)
group.command("new")(authoring.new)
group.command("test")(authoring.run_tests)
group.command("explain")(authoring.explain)
group.command("propose")(lifecycle.propose)
group.command("impact")(lifecycle.impact)
group.command("vote")(lifecycle.vote)
group.command("carry-out")(lifecycle.carry_out)
group.command("proposal")(lifecycle.proposal)
group.command("versions")(lifecycle.versions)
group.command("show")(lifecycle.show)
group.command("call")(lifecycle.call)
group.command("simulate")(simulate.simulate)

#: Verdicts that prevail over a patient's own.
_OVERRIDING = frozenset({"forbids", "obliges"})
_FILES = typer.Argument(help="Contract sources.", exists=True, dir_okay=False)


@group.command()
def check(files: Annotated[list[Path], _FILES], as_json: AsJson = False) -> None:
    """Check sources against the contract language; ends with 1 if a chain would refuse one.

    Of a valid one it says what it offers, and with which verdicts it answers requests.
    """
    from ledger.contracts.checker import check as check_source
    from ledger.contracts.summary import summarise

    with expecting(OSError, UnicodeDecodeError):
        sources = {str(file): file.read_text(encoding="utf-8") for file in files}
    found = {file: check_source(source) for file, source in sources.items()}
    summaries = {file: summarise(source) for file, source in sources.items() if not found[file]}
    good = not any(found.values())
    if as_json:
        write_json(
            {
                "valid": good,
                "problems": [
                    {"file": file, **asdict(problem)}
                    for file, problems in found.items()
                    for problem in problems
                ],
                "contracts": [
                    {"file": file, **asdict(summary), "verbs": summary.verbs}
                    for file, summary in summaries.items()
                ],
            }
        )
    else:
        for file, problems in found.items():
            if problems:
                _show_problems(file, problems)
            else:
                _show_summary(file, summaries[file])
    raise typer.Exit(ExitCode.GOOD if good else ExitCode.NO)


def _show_problems(file: str, problems: list[Problem]) -> None:
    from rich.markup import escape

    out = console()
    for problem in problems:
        place = escape(f"{file}:{problem.line}:{problem.column}")
        out.print(f"{place}: [bold red]{problem.code}[/] {escape(problem.message)}", soft_wrap=True)
        if problem.hint:
            out.print(f"  [dim]{escape(problem.hint)}[/]", soft_wrap=True)


def _show_summary(file: str, summary: Summary) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"[green]valid[/] {escape(file)}  {escape(summary.summary)}", soft_wrap=True)
    for method in summary.methods:
        out.print(f"  {method.kind:6} {escape(method.signature)}", soft_wrap=True)
    for verb, rules in summary.verbs.items():
        style = "bold red" if verb in _OVERRIDING else "bold"
        out.print(f"  [{style}]{verb}[/] {escape(', '.join(rules))}", soft_wrap=True)
    for what, names in (("calls", summary.calls), ("emits", summary.emits)):
        if names:
            out.print(f"  {what} {escape(', '.join(names))}", soft_wrap=True)
