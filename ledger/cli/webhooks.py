"""``health-ledger webhooks``: having events delivered to an address."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ledger.cli.connection import Token, connect
from ledger.cli.output import AsJson, console, write_json

group = typer.Typer(help="Have events delivered to an address.", no_args_is_help=True)

NodeUrl = Annotated[str, typer.Option("--url", help="Base URL of the node.")]
Id = Annotated[str, typer.Argument(help="Id of the subscription.")]
After = Annotated[str | None, typer.Option(help="Begin behind this cursor, such as 0.0.0.")]
Values = Annotated[list[str] | None, typer.Option()]


@group.command("list")
def list_(url: NodeUrl, token: Token = None, as_json: AsJson = False) -> None:
    """List subscriptions and how they go."""
    from ledger.client import subscriptions

    with connect(url, token) as client:
        found = client.send(subscriptions.webhooks())
    if as_json:
        write_json({"webhooks": [_plain(item) for item in found]})
        return
    from rich.table import Table

    table = Table("id", "address", "status", "cursor", "delivered", "attempts", "reason", box=None)
    for item in found:
        table.add_row(
            item.id, item.url, item.status, item.cursor, str(item.delivered), str(item.attempts),
            item.reason,
        )  # fmt: skip
    console().print(table)


@group.command()
def add(
    address: Annotated[str, typer.Argument(help="Where to deliver: an https URL.")],
    url: NodeUrl,
    contract: Values = None,
    name: Values = None,
    subject: Values = None,
    institution: Values = None,
    holder: Values = None,
    after: After = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Subscribe. Each filter can be given several times and is met by any of its values."""
    from ledger.client import subscriptions

    wanted = {
        "contract": contract, "name": name, "subject": subject, "institution": institution,
        "holder": holder,
    }  # fmt: skip
    filters = {kind: values for kind, values in wanted.items() if values}
    with connect(url, token) as client:
        made = client.send(subscriptions.subscribe(address, filters, after))
    if as_json:
        write_json(_plain(made))
    else:
        console().print(f"Subscribed as {made.id}, behind {made.cursor}.")


@group.command()
def remove(id_: Id, url: NodeUrl, token: Token = None) -> None:
    """End a subscription."""
    from ledger.client import subscriptions

    with connect(url, token) as client:
        client.send(subscriptions.unsubscribe(id_))
    console().print(f"{id_} is ended.")


@group.command()
def resume(id_: Id, url: NodeUrl, after: After = None, token: Token = None) -> None:
    """Go on with a suspended subscription, from where it stood or from behind a cursor."""
    from ledger.client import subscriptions

    with connect(url, token) as client:
        found = client.send(subscriptions.resume(id_, after))
    console().print(f"{id_} goes on behind {found.cursor}.")


@group.command()
def refused(id_: Id, url: NodeUrl, token: Token = None, as_json: AsJson = False) -> None:
    """List the events that a receiver refused for good."""
    from ledger.client import subscriptions

    with connect(url, token) as client:
        found = client.send(subscriptions.dead_letters(id_))
    if as_json:
        write_json({"refused": [_plain(item) for item in found]})
        return
    for item in found:
        console().print(f"{item.cursor}  {item.transaction}  {item.reason}", soft_wrap=True)


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)
