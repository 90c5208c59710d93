"""``health-ledger node check``, ``repair``, ``vouch`` and ``reindex``: for the home of a node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, write_json

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]


def check(
    home: Home,
    whole: Annotated[
        bool, typer.Option("--whole", help="Replay the chain and compare every row.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether a node's store is what it should be; ends with 1 if it is damaged.

    Changes nothing, and may be used while the node runs.
    """
    from ledger.chain.store import StoreError
    from ledger.node import upkeep
    from ledger.node.setup.home import InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome, StoreError):
        found = upkeep.check(load_home(home), whole=whole)
    if as_json:
        write_json({**asdict(found), "good": found.good})
    else:
        extent = "every row" if whole else "the newest blocks"
        verdict = "nothing is wrong" if found.good else "the store is damaged"
        console().print(f"height {found.height}; {extent} checked: {verdict}", soft_wrap=True)
        for line in (*found.faults, *found.remarks):
            console().print(f"- {line}", soft_wrap=True, markup=False)
    raise typer.Exit(ExitCode.GOOD if found.good else ExitCode.NO)


def repair(
    home: Home,
    anyhow: Annotated[
        bool, typer.Option("--anyhow", help="Also if the quick check finds nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Set a damaged store aside; the node builds a new one from its peers when it starts.

    Nothing is deleted. Ends with 1 if the store is not damaged and was left as it is.
    """
    from ledger.chain.store import StoreError
    from ledger.node import upkeep
    from ledger.node.setup.home import HomeInUse, InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome, HomeInUse, StoreError, OSError):
        aside = upkeep.repair(load_home(home), anyhow=anyhow)
    if as_json:
        write_json({"set_aside": None if aside is None else str(aside)})
    elif aside is None:
        console().print("The store is not damaged as far as a quick check can tell; left as it is.")
    else:
        console().print(f"The old store is in {aside}. Start the node now.", soft_wrap=True)
    raise typer.Exit(ExitCode.NO if aside is None else ExitCode.GOOD)


def vouch(
    home: Home,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say that a node's store holds every vote that it ever signed, so that it votes at once.

    For a node that abstains because its home was moved or put back. True only if the node was
    stopped before its files were copied and has not run since; where it is not, the node may sign
    twice, and the others will hold that against its institution.
    """
    from ledger.chain.store import StoreError
    from ledger.node import upkeep
    from ledger.node.setup.home import HomeInUse, InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome, HomeInUse, StoreError):
        found = load_home(home)
        if not yes:
            typer.confirm(f"Has {found.node} not run since these files were copied?", abort=True)
        height, votes = upkeep.vouch(found)
    if as_json:
        write_json({"node": found.node, "height": height, "votes": votes})
    else:
        console().print(
            f"{found.node} may vote from height {height} on; it has {votes} votes there."
        )


def reindex(home: Home, as_json: AsJson = False) -> None:
    """Make the lists of a node (who opened what, findings) anew from its store.

    The node has to be stopped. Nothing but the index is changed; a node that has none makes it
    while it runs.
    """
    from ledger.chain.store import StoreError
    from ledger.node.reading import keeping
    from ledger.node.setup.home import HomeInUse, InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome, HomeInUse, StoreError):
        done = keeping.reindex(load_home(home))
    if as_json:
        write_json(asdict(done))
    else:
        console().print(
            f"The index is at height {done.height}, {done.size / 1e6:.1f} MB; "
            f"{done.unread} entries are not what is usual and were left out.",
            soft_wrap=True,
        )


def add_to(group: typer.Typer) -> None:
    """Give ``health-ledger node`` these commands."""
    for command in (check, repair, vouch, reindex):
        group.command()(command)
