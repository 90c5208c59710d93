"""``health-ledger bench``: measuring a consortium, and the contracts."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.output import AsJson

group = typer.Typer(help="Measure on this machine.", invoke_without_command=True)


@group.callback()
def bench(
    context: typer.Context,
    nodes: Annotated[int, typer.Option(min=4, max=16, help="Validators to start.")] = 4,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Length of each measurement.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Measure a consortium of real processes on this machine."""
    if context.invoked_subcommand is not None:
        return
    from ledger.bench.run import main

    raise typer.Exit(main(nodes=nodes, seconds=seconds, as_json=as_json))


@group.command()
def contracts(
    consents: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Consents in the largest state.")
    ] = 1_000_000,
    disk: Annotated[
        bool, typer.Option("--disk/--no-disk", help="The largest on a SQLite store too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure contracts against CPython, and decisions as consents grow."""
    from ledger.bench.contracts import SIZES, main

    sizes = [*[size for size in SIZES if size < consents], consents]
    raise typer.Exit(main(sizes=sizes, disk=disk, as_json=as_json))


@group.command()
def reading(
    entries: Annotated[
        int, typer.Option(min=1_000, max=100_000_000, help="Accesses in the index.")
    ] = 100_000,
    times: Annotated[
        int, typer.Option(min=1, max=100_000, help="How often each question is asked.")
    ] = 400,
    as_json: AsJson = False,
) -> None:
    """Measure lists (who opened what, findings) against plain SQL queries of the same rows."""
    from ledger.bench.reading import main

    raise typer.Exit(main(entries=entries, times=times, as_json=as_json))
