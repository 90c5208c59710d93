"""``health-ledger operators``: the credentials of the people who run a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    from ledger.api.signin.operators import Operators, Role

group = typer.Typer(help="Credentials of the people who run a node.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]
Name = Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")]


def _operators(home: Path) -> Operators:
    from ledger.api.signin.operators import Operators
    from ledger.node.setup.home import load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile):
        return Operators(load_home(home).signin / "operators.json")


@group.command()
def renew(
    home: Home,
    name: Name,
    roles: Annotated[
        list[str] | None,
        typer.Option("--role", help="monitor, records or security; again for more."),
    ] = None,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="The token of before is good until the next change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give an operator a new token, and print it: it is written nowhere else.

    Makes the operator if there is none of that name. A running node takes it at once.
    """
    from ledger.api.signin.operators import OperatorsUnusable

    with expecting(OperatorsUnusable, ValueError, OSError):
        given = cast("tuple[Role, ...]", tuple(roles or ()))
        token = _operators(home).renew(name, given, keep_old=keep_old)
    if as_json:
        write_json({"operator": name, "token": token})
    else:
        typer.echo(token)


@group.command("list")
def list_(home: Home, as_json: AsJson = False) -> None:
    """List the operators and their roles."""
    from ledger.api.signin.operators import OperatorsUnusable

    with expecting(OperatorsUnusable):
        found = _operators(home).listed().values()
    entries = [
        {"operator": one.name, "roles": list(one.roles), "tokens": len(one.hashes)} for one in found
    ]
    if as_json:
        write_json({"operators": entries})
        return
    for one in found:
        tokens = " (two tokens)" if len(one.hashes) > 1 else ""
        console().print(f"{one.name}: {', '.join(one.roles)}{tokens}")


@group.command()
def dismiss(home: Home, name: Name) -> None:
    """Take an operator's credential away, at once."""
    from ledger.api.signin.operators import OperatorsUnusable

    with expecting(OperatorsUnusable, OSError):
        try:
            _operators(home).dismiss(name)
        except LookupError:
            fail(f"there is no operator {name}", ExitCode.NO)
