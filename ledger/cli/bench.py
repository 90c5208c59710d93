"""``health-ledger bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.cli.output import AsJson


def bench(
    nodes: Annotated[int, typer.Option(min=4, max=16, help="Validators to start.")] = 4,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Length of each measurement.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Measure a consortium of real processes on this machine."""
    from ledger.bench.run import main

    raise typer.Exit(main(nodes=nodes, seconds=seconds, as_json=as_json))
