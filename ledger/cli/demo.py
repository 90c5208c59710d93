"""``health-ledger demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ledger.cli.output import AsJson


def demo(
    config: Annotated[
        Path | None,
        typer.Option(
            help="Consortium to start; the scenario beside it is played.",
            show_default="the Yan'an consortium and the story of its records",
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(help="Where to keep it.", show_default="a temporary directory"),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the last scene and stop all processes.")
    ] = False,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="Language of the narration.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Start a consortium on this machine and watch records travel under consents."""
    from ledger.demo.run import main

    raise typer.Exit(main(config=config, home=home, once=once, language=lang, as_json=as_json))
