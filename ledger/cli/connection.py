"""Options and errors of the commands that talk to a node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import expecting

if TYPE_CHECKING:
    from ledger.client.http import Client

Url = Annotated[str | None, typer.Option(help="Base URL of a node, such as http://127.0.0.1:8100.")]
Token = Annotated[
    str | None,
    typer.Option(envvar="HEALTH_LEDGER_TOKEN", help="Bearer token, where the node asks for one."),
]


@contextmanager
def connect(url: str, token: str | None) -> Iterator[Client]:
    """A client of the node; what goes wrong in talking to it ends the command with one line."""
    import httpx

    from ledger.chain.codec import Malformed
    from ledger.client.http import Client, NodeRefused, NodeUnreachable

    with (
        expecting(NodeRefused, NodeUnreachable, Malformed, httpx.InvalidURL),
        Client(url, token=token) as client,
    ):
        yield client
