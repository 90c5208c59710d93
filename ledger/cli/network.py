"""``health-ledger network``: founding a consortium."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.cli import replacing
from ledger.cli.output import AsJson, console, expecting, progress, write_json
from ledger.cli.passphrase import passphrase_source

if TYPE_CHECKING:
    from ledger.node.setup.founding import Founding

group = typer.Typer(help="Found a consortium.", no_args_is_help=True)


@group.callback()
def options() -> None:
    """Found a consortium."""


@group.command()
def init(
    config: Annotated[Path, typer.Option(help="The consortium's configuration (TOML).")],
    out: Annotated[Path, typer.Option(help="Directory to make; it must be empty or not there.")],
    insecure_keys: Annotated[
        bool,
        typer.Option("--insecure-keys", help="Keep keys in plain text. For demos and tests only."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the genesis, keys, certificates and a home for every node.

    Keys are sealed with a passphrase: from HEALTH_LEDGER_PASSPHRASE, from the file that
    HEALTH_LEDGER_PASSPHRASE_FILE names, or asked for.
    """
    from ledger.crypto.keyfile import KeyFileError
    from ledger.node.setup.config import load_config
    from ledger.node.setup.founding import FoundingRefused, found_network
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, FoundingRefused, KeyFileError):
        settings = load_config(config)
        passphrase = None if insecure_keys else passphrase_source(confirm=True)()
        with progress("Founding the network", quiet=as_json) as advance:
            founding = found_network(
                settings,
                out,
                passphrase=passphrase,
                insecure=insecure_keys,
                now_ms=time.time_ns() // 1_000_000,
                progress=lambda done, total, _what: advance(done, total),
            )
    if as_json:
        write_json(
            {
                "home": str(founding.home),
                "network": founding.network,
                "chain": founding.chain_id.hex(),
                "institutions": list(founding.institutions),
                "validators": list(founding.validators),
                "observers": list(founding.observers),
                "people": founding.people,
                "contracts": list(founding.contracts),
                "urls": founding.urls,
            }
        )
    else:
        _show(founding, insecure=insecure_keys)


group.command("join")(replacing.join)


def _show(founding: Founding, *, insecure: bool) -> None:
    from rich.markup import escape

    out = console()
    out.print(f"Founded [bold]{escape(founding.network)}[/] in {escape(str(founding.home))}")
    out.print(f"  chain         {founding.chain_id.hex()}", soft_wrap=True)
    out.print(f"  institutions  {len(founding.institutions)}")
    out.print(f"  validators    {', '.join(founding.validators)}", soft_wrap=True)
    if founding.observers:
        out.print(f"  observers     {', '.join(founding.observers)}", soft_wrap=True)
    out.print(f"  people        {founding.people}")
    if insecure:
        out.print("[yellow]The keys are in plain text: use this network for nothing real.[/]")
    home = founding.home / "nodes" / founding.validators[0]
    out.print(f"Start each node: health-ledger node run --home {escape(str(home))}", soft_wrap=True)
