"""``health-ledger consortia``: the consortia that come with the software, and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json


def consortia(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the configurations are.", show_default="those shipped"),
    ] = None,
    play: Annotated[
        str | None,
        typer.Option("--play", help="Play the scenario of one of them in the simulator."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of docs/consortia.md.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the consortia that come with the software, or play one on virtual time."""
    from ledger.node.setup.tomlfile import InvalidFile
    from ledger.scenario import catalogue
    from ledger.scenario.parser import InvalidScenario

    with expecting(InvalidFile, InvalidScenario, OSError):
        if play is not None:
            _play(folder or catalogue.folder(), play, as_json)
            return
        entries = list(catalogue.consortia(folder))
    if markdown:
        typer.echo(catalogue.table(iter(entries)), nl=False)
        return
    rows = [
        {
            "name": entry.name,
            "title": entry.scenario.title,
            "source": list(entry.scenario.source),
            "config": str(entry.path),
            "members": len(entry.config.institutions),
            "validators": entry.validators,
            "contracts": list(entry.rules),
            "steps": len(entry.scenario.steps),
        }
        for entry in entries
    ]
    if as_json:
        write_json({"consortia": rows})
        return
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for column in ("name", "title", "source", "members", "validators", "steps"):
        shown.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in rows:
        shown.add_row(
            str(row["name"]),
            str(row["title"]),
            " ".join(map(str, row["source"])),  # type: ignore[call-overload]
            f"{row['members']:,}",
            str(row["validators"]),
            str(row["steps"]),
        )
    console().print(shown)


_NUMBERS = ("members", "validators", "steps")


def _play(folder: Path, name: str, as_json: bool) -> None:
    from ledger.scenario.checking import faults
    from ledger.scenario.language import SUFFIX, Step
    from ledger.scenario.parser import load_scenario
    from ledger.scenario.player import Unmet
    from ledger.scenario.scaling import load_small
    from ledger.sim.checker import Broken
    from ledger.sim.consortia import play

    config = load_small(folder / f"{name}.toml")
    scenario = load_scenario(folder / f"{name}{SUFFIX}")
    wrong = faults(scenario, config)
    if wrong:
        fail("\n".join(wrong))
    screen = console()

    def watch(step: Step, what: str) -> None:
        if as_json:
            return
        for line in step.prose:
            screen.print(line, markup=False, style="dim", soft_wrap=True)
        screen.print(f"  {step.text}", markup=False, soft_wrap=True)
        if what:
            screen.print(f"      {what}", markup=False, soft_wrap=True)

    try:
        played = play(scenario, config, watch=watch)
    except (Unmet, Broken) as error:
        fail(str(error), ExitCode.NO)
    if as_json:
        write_json(
            {
                "name": name,
                "steps": played.steps,
                "permits": dict(played.permits),
                "denies": dict(played.denies),
                "refusals": dict(played.refusals),
            }
        )
