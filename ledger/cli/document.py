"""``health-ledger audit document``: whether a record is anchored, and these are its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.audit import GenesisFile
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    from ledger.chain.document import Examination

_COLOURS = {"good": "green", "bad": "bold red", "unchecked": "yellow"}


def document(
    proof: Annotated[Path, typer.Argument(help="A document proof file.")],
    genesis: GenesisFile,
    content: Annotated[Path | None, typer.Option(help="The record's exact bytes.")] = None,
    salt: Annotated[str, typer.Option(help="The record's salt, in hex, as it came with it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check one document proof offline; ends with 1 if any step is bad.

    Only the genesis file is believed.
    """
    from ledger.audit.verify import NotAuditable, verify_document_file
    from ledger.chain.codec import Malformed
    from ledger.chain.genesis import read_genesis

    try:
        opening = bytes.fromhex(salt) if salt else None
    except ValueError:
        fail("a salt is written in hex digits", ExitCode.USAGE)
    with expecting(NotAuditable, Malformed, OSError):
        agreement = read_genesis(genesis)
        given = content.read_bytes() if content is not None else None
        found = verify_document_file(agreement, proof, given, opening)
    if as_json:
        write_json(_as_json(found))
    else:
        _show(found)
    raise typer.Exit(ExitCode.GOOD if found.good else ExitCode.NO)


def _as_json(found: Examination) -> dict[str, object]:
    return {
        "verified": found.good,
        "record": found.pointer.name().hex() if found.pointer else None,
        "holder": found.pointer.holder if found.pointer else None,
        "status": found.status or None,
        "anchored": found.anchored or None,
        "height": found.height or None,
        "time": found.time or None,
        "steps": [
            {"name": step.name, "verdict": step.verdict.value, "detail": step.detail}
            for step in found.steps
        ],
    }


def _show(found: Examination) -> None:
    from rich.markup import escape

    out = console()
    out.print("[bold green]verified[/]" if found.good else "[bold red]not good[/]")
    for step in found.steps:
        colour = _COLOURS[step.verdict.value]
        line = f"  [{colour}]{step.verdict.value:9}[/] {step.name:11} {escape(step.detail)}"
        out.print(line, soft_wrap=True)
