"""The command ``health-ledger``."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from ledger.cli import (
    archive,
    audit,
    bench,
    consortia,
    contract,
    demo,
    document,
    erasure,
    explain,
    indicators,
    network,
    node,
    operators,
    pseudonym,
    records,
    sim,
    staff,
    systems,
    transaction,
    webhooks,
)
from ledger.cli.output import ExitCode, fail

app = typer.Typer(
    name="health-ledger",
    help="A ledger on which hospitals share records under patients' consents.\n\n"
    "Exit codes: 0 good, 1 the answer is no, 2 wrong usage, 3 could not run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.demo)
app.command("consortia")(consortia.consortia)
app.add_typer(network.group, name="network")
app.add_typer(node.group, name="node")
app.add_typer(staff.group, name="staff")
app.add_typer(operators.group, name="operators")
app.add_typer(systems.group, name="systems")
app.add_typer(transaction.group, name="tx")
app.add_typer(audit.group, name="audit")
audit.group.command("document")(document.document)
app.add_typer(records.group, name="records")
app.command("indicators")(indicators.indicators)
app.add_typer(archive.group, name="archive")
app.add_typer(contract.group, name="contract")
app.command("explain")(explain.explain)
app.add_typer(pseudonym.group, name="pseudonym")
app.add_typer(erasure.group, name="erasure")
app.command("sim")(sim.sim)
app.add_typer(webhooks.group, name="webhooks")
app.add_typer(bench.group, name="bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"health-ledger {version('health-ledger')}")
        raise typer.Exit(ExitCode.GOOD)


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options before the command."""


def run() -> None:
    """Entry point. What nobody expected is our mistake: a traceback, and exit code 3, not 1."""
    try:
        app()
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        try:
            fail(f"this is a mistake of the program: {type(error).__name__}: {error}")
        except typer.Exit as end:
            sys.exit(end.exit_code)


if __name__ == "__main__":
    run()
