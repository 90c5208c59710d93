"""``health-ledger node``: running a node and asking how it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.cli import replacing, upkeep
from ledger.cli.connection import Token, Url, connect
from ledger.cli.output import (
    AsJson,
    ExitCode,
    console,
    expecting,
    fail,
    write_json,
)
from ledger.cli.passphrase import passphrase_source

group = typer.Typer(help="Run a node, and ask it how it is.", no_args_is_help=True)

upkeep.add_to(group)

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]


@group.command()
def run(
    home: Home,
    token: Token = None,
    development: Annotated[
        bool,
        typer.Option(
            "--development",
            help="Nobody signs in; a header of each request says who calls. On loopback only.",
        ),
    ] = False,
) -> None:
    """Run a node until it is told to stop (Ctrl-C or SIGTERM).

    With a token, with operators or with [signin] its API may listen on other addresses than
    loopback, and asks who calls.
    """
    from ledger.api import process

    with expecting(process.CannotRun):
        process.run(home, passphrase_source(), token, development=development)


@group.command()
def migrate(home: Home) -> None:
    """Bring the tables of a node's store up to date, also where that rewrites some of them.

    Steps that only add something are taken by `node run` itself. Make a backup before.
    """
    from ledger.chain.database import StoreError
    from ledger.node import upkeep
    from ledger.node.setup.home import HomeInUse, InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome, HomeInUse, StoreError):
        before, after = upkeep.migrate(load_home(home))
    if before == after:
        console().print(f"The store is up to date: its tables are of revision {after}.")
    else:
        console().print(f"The tables of the store were of revision {before}, now of {after}.")


@group.command()
def status(
    url: Url = None,
    home: Annotated[Path | None, typer.Option(help="Home of the node to ask.")] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say how a node is and why nothing is committed, if so; ends with 1 in that case."""
    with connect(_address(url, home), token) as client:
        found = client.status()
    if as_json:
        write_json(found)
    else:
        _show(found)
    raise typer.Exit(ExitCode.GOOD if found.get("committing") is True else ExitCode.NO)


group.command("renew-tls")(replacing.renew_tls)
group.command("rotate-key")(replacing.rotate_key)
group.command("new-ca")(replacing.new_ca)


def _address(url: str | None, home: Path | None) -> str:
    if (url is None) == (home is None):
        fail("give either --url or --home", ExitCode.USAGE)
    if url is not None:
        return url
    from ledger.node.setup.home import load_home
    from ledger.node.setup.tomlfile import InvalidFile

    assert home is not None
    with expecting(InvalidFile):
        return load_home(home).api_url


def _when(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    out = console()
    colour = "green" if found["committing"] else "bold red"
    out.print(f"[bold]{escape(found['node'])}[/], {found['role']} of {escape(found['network'])}")
    out.print(f"[{colour}]{escape(found['reason'])}[/]", soft_wrap=True)
    out.print(
        f"height {found['height']} at {_when(found['block_time'])}, block {found['block'][:16]}…; "
        f"view {found['view']}, {escape(found['phase'])}, proposer {escape(found['proposer'])}; "
        f"{found['pending_transactions']} transactions waiting",
        soft_wrap=True,
    )
    if found.get("mode") == "development":
        out.print("[red]development mode: nobody signs in[/]")
    if found["role"] == "observer" and not found["ready_to_vote"]:
        out.print("[yellow]not ready to vote yet, if it were made a validator[/]")
    validators = Table("validator", "institution", "voted", "missing since", box=None)
    for member in found["validators"]:
        validators.add_row(
            escape(member["node"]),
            escape(member["institution"]),
            ", ".join(member["voted"]),
            f"[red]{_when(member['missing_since'])}[/]",
        )
    out.print(validators)
    peers = Table("peer", "address", "connected", "height", box=None)
    for peer in found["peers"]:
        peers.add_row(
            escape(peer["node"]),
            escape(peer["address"]),
            "yes" if peer["connected"] else "[red]no[/]",
            "" if peer["height"] is None else str(peer["height"]),
        )
    out.print(peers)
    expiry = found["next_expiry"]
    if expiry is not None:
        out.print(f"next to expire: {escape(expiry['what'])}, {_when(expiry['expires'])}")
    for entry in found["certificates"]:
        if entry["soon"]:
            out.print(f"[yellow]{escape(_lasting(entry))}[/]", soft_wrap=True)


def _lasting(entry: dict[str, Any]) -> str:
    """How long a certificate lasts, in words."""
    days = entry["days_left"]
    if days < 0:
        return f"{entry['what']} ran out on {_when(entry['expires'])}."
    left = "today" if days == 0 else f"in {days} {'day' if days == 1 else 'days'}"
    return f"{entry['what']} runs out {left}, on {_when(entry['expires'])}."
