"""``health-ledger systems``: the systems that may sign in at a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    from ledger.api.signin.clients import Clients

MAX_JWKS = 256 * 1024

group = typer.Typer(help="Systems that may sign in at a node.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]
Name = Annotated[str, typer.Argument(help="The system's id: letters, digits, . - _")]


def _opened(home: Path) -> tuple[Clients, str]:
    from ledger.api.signin.clients import Clients
    from ledger.node.setup.home import load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile):
        found = load_home(home)
        return Clients(found.signin / "clients.json"), found.institution


@group.command()
def register(
    home: Home,
    name: Name,
    scopes: Annotated[
        list[str], typer.Option("--scope", help="A scope of the level system; again for more.")
    ],
    jwks: Annotated[
        Path | None, typer.Option(help="File with the system's public keys (JWK set).")
    ] = None,
    jwks_url: Annotated[
        str | None, typer.Option("--jwks-url", help="Where the system publishes them, https.")
    ] = None,
    institution: Annotated[
        str | None, typer.Option(help="For whom it acts; the node's institution if absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a system sign in, or change what it may; a running node takes it at once.

    Give either --jwks or --jwks-url.
    """
    from ledger.api.signin import jose
    from ledger.api.signin.clients import Client, ClientsUnusable

    clients, own = _opened(home)
    with expecting(ClientsUnusable, ValueError, OSError):
        keys = None
        if jwks is not None:
            with jwks.open("rb") as stream:
                keys = jose.strict_object(stream.read(MAX_JWKS))
        clients.register(Client(name, institution or own, " ".join(scopes), keys, jwks_url))
    if as_json:
        write_json({"system": name})
    else:
        console().print(f"{name} may sign in.")


@group.command("list")
def list_(home: Home, as_json: AsJson = False) -> None:
    """List the systems that may sign in."""
    from rich.markup import escape

    from ledger.api.signin.clients import ClientsUnusable

    with expecting(ClientsUnusable):
        found = _opened(home)[0].listed().values()
    if as_json:
        entries = [
            {
                "system": one.id, "institution": one.institution, "scopes": one.scopes,
                "jwks_url": one.jwks_url,
            }
            for one in found
        ]  # fmt: skip
        write_json({"systems": entries})
        return
    for one in found:
        where = one.jwks_url or "keys in the file"
        console().print(f"{one.id} for {escape(one.institution)}: {escape(one.scopes)}, {where}")


@group.command()
def remove(home: Home, name: Name) -> None:
    """Let a system sign in no more; its tokens end at once."""
    from ledger.api.signin.clients import ClientsUnusable

    with expecting(ClientsUnusable, OSError):
        try:
            _opened(home)[0].remove(name)
        except LookupError:
            fail(f"there is no system {name}", ExitCode.NO)
