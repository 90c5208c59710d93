"""``health-ledger explain``: why somebody got to see a record, or did not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ledger.cli.connection import Token, Url, connect
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    from ledger.decisions.finding import Decision
    from ledger.decisions.origin import Origin


def explain(
    name: Annotated[str, typer.Argument(help="Id of a transaction, or of a decision.")],
    store: Annotated[
        str | None, typer.Option(help="A node's store: its path or database URL.")
    ] = None,
    url: Url = None,
    genesis: Annotated[
        Path | None, typer.Option(help="Your own copy of the genesis file: believe nothing else.")
    ] = None,
    language: Annotated[Literal["en", "zh"], typer.Option("--lang", help="en or zh.")] = "en",
    reader: Annotated[
        Literal["patient", "auditor"],
        typer.Option("--for", help="A sentence for the patient, or everything for an auditor."),
    ] = "patient",
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Explain a decision about access; ends with 1 if there is none, or it is not proven."""
    from ledger.decisions.finding import NotAnId, NotFound, decisions

    if (store is None) == (url is None):
        fail("give one of --store and --url", ExitCode.USAGE)
    with _origin(store, url, token, genesis) as origin:
        try:
            found = decisions(origin, name)
        except NotAnId as error:
            fail(str(error), ExitCode.USAGE)
        except NotFound as error:
            fail(str(error), ExitCode.NO)
    if as_json:
        from ledger.decisions.auditor import as_json as whole
        from ledger.decisions.patient import sentence

        write_json(
            {
                "decisions": [
                    {
                        **whole(decision),
                        "sentence": {
                            "en": sentence(decision, "en"),
                            "zh": sentence(decision, "zh"),
                        },
                    }
                    for decision in found
                ]
            }
        )
        return
    for decision in found:
        if reader == "patient":
            _tell(decision, language)
        else:
            _show(decision, language)


def _tell(decision: Decision, language: Literal["en", "zh"]) -> None:
    from ledger.decisions.patient import Sealed, told

    try:
        lines = told(decision, language)
    except Sealed:
        fail("the patient is not told of this decision yet", ExitCode.NO)
    for line in lines:
        typer.echo(line)


def _show(decision: Decision, language: Literal["en", "zh"]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ledger.decisions.auditor import in_full

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for head, text in in_full(decision, language):
        table.add_row(Text(head), Text(text))
    console().print(table)


@contextmanager
def _origin(
    store: str | None, url: str | None, token: str | None, genesis: Path | None
) -> Iterator[Origin]:
    """The chain that was named; whatever is wrong with it ends the command with one line."""
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.genesis import read_genesis
    from ledger.chain.handover import InvalidProof
    from ledger.chain.receipt import InvalidReceipt
    from ledger.chain.store import Store
    from ledger.client.verify import trust_in
    from ledger.decisions.origin import NodeOrigin, StoreOrigin

    with expecting(Malformed, OSError):
        trust = None if genesis is None else trust_in(read_genesis(genesis))
    try:
        if store is not None:
            with expecting(StoreError, Malformed, OSError):
                opened = Store.open(store, read_only=True)
                try:
                    yield StoreOrigin(opened, trust)
                finally:
                    opened.close()
        else:
            assert url is not None
            with connect(url, token) as client:
                yield NodeOrigin(client, trust)
    except (InvalidProof, InvalidReceipt) as error:
        fail(f"not proven: {error}", ExitCode.NO)
