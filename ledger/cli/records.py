"""``health-ledger records``: a holder's records, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, Url
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, progress, write_json
from ledger.cli.passphrase import passphrase_source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ledger.chain.result import CallResult
    from ledger.chain.transaction import Call
    from ledger.crypto.keys import SigningKey
    from ledger.node.reconciling import Reconciliation
    from ledger.node.setup.home import NodeHome
    from ledger.node.vault.intake import TakeIn
    from ledger.node.vault.passes import Standing
    from ledger.node.vault.vault import Vault

group = typer.Typer(help="A holder's records: anchor, look, compare.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(help="The node's home, with its node.toml.")]


def _opened(home: NodeHome) -> Vault:
    from ledger.node.clock import now_ms
    from ledger.node.vault.patients import subjects_in
    from ledger.node.vault.sources import sources_of
    from ledger.node.vault.vault import Vault

    directory = home.path / "vault"
    sources = sources_of(home, now_ms, lambda: subjects_in(directory))
    return Vault.open(directory / "vault.db", sources)


def _home(path: Path) -> NodeHome:
    from ledger.node.setup.home import InvalidHome, load_home
    from ledger.node.setup.tomlfile import InvalidFile

    with expecting(InvalidFile, InvalidHome):
        home = load_home(path)
    if not (home.path / "vault").is_dir():
        fail(f"{path}: this node keeps no records")
    return home


# --- how it stands -------------------------------------------------------------------------------


@group.command()
def status(home: Home, as_json: AsJson = False) -> None:
    """Show what the vault holds and how far the newest pass over the source is.

    May be used while the node runs.
    """
    from ledger.node.setup.home import InvalidHome
    from ledger.node.vault.tables import VaultUnusable

    with expecting(VaultUnusable, InvalidHome, OSError):
        vault = _opened(_home(home))
        try:
            standing = vault.standing()
        finally:
            vault.close()
    if as_json:
        write_json(standing.value())
    else:
        _show_standing(standing)


def _show_standing(standing: Standing) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for name, count in (
        ("current", standing.current), ("superseded", standing.outdated),
        ("anchored", standing.anchored), ("waiting for the chain", standing.waiting),
        ("batches that wait", standing.batches_waiting),
    ):  # fmt: skip
        table.add_row(name, f"{count:,}")
    newest = standing.newest
    if newest is not None:
        state = "runs, or was cut short" if newest.ended is None else "is over"
        table.add_row("newest pass", f"{newest.error or state} ({newest.phase})")
        for name, count in newest.counts.items():
            table.add_row(f"  {name.replace('_', ' ')}", f"{count:,}")
    console().print(table)


# --- anchoring -----------------------------------------------------------------------------------


@group.command()
def anchor(
    home: Home,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take in what is new in the sources and anchor it, now, through the running node.

    Can be stopped at any moment and started again. The node does the same by itself from time to
    time; two of them never work at once.
    """
    import asyncio

    from ledger.chain.codec import Malformed
    from ledger.client.http import NodeRefused, NodeUnreachable
    from ledger.crypto.keyfile import KeyFileError
    from ledger.node.anchoring import AnchoringFailed
    from ledger.node.setup.home import InvalidHome
    from ledger.node.vault.passes import VaultBusy, claim_vault
    from ledger.node.vault.tables import VaultUnusable

    place = _home(home)
    with (
        expecting(
            AnchoringFailed,
            InvalidHome,
            KeyFileError,
            Malformed,
            NodeRefused,
            NodeUnreachable,
            OSError,
            PermissionError,
            TimeoutError,
            VaultBusy,
            VaultUnusable,
        ),  # fmt: skip
        claim_vault(place.path / "vault"),
        _log_to_stderr(),
    ):
        key = place.signing_key(passphrase_source())
        vault = _opened(place)
        try:
            with progress("Records", quiet=as_json) as advance:
                report = asyncio.run(_anchored(place, vault, key, url, token, advance))
            standing = vault.standing()
        finally:
            vault.close()
    if as_json:
        problems = [{"id": each.id, "reason": each.reason} for each in report.problems]
        write_json({**report.counts(), "problems": problems, "standing": standing.value()})
        return
    for problem in report.problems[:20]:
        console().print(f"- {problem.id}: {problem.reason}", soft_wrap=True, markup=False)
    _show_standing(standing)


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Standard output is for the result."""
    import sys

    import structlog

    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _anchored(
    home: NodeHome,
    vault: Vault,
    key: SigningKey,
    url: str | None,
    token: str | None,
    advance: Callable[[int, int], None],
) -> TakeIn:
    from ledger.client.http import AsyncClient
    from ledger.node.anchoring import anchor as work
    from ledger.node.clock import now_ms
    from ledger.node.vault.patients import label_keys_in, subjects_in

    directory = home.path / "vault"
    client = AsyncClient(url or home.api_url, token=token)
    try:
        return await work(
            vault, home.institution, subjects_in(directory), now_ms(), _sender(client, key),
            label_keys_in(directory), lambda _what, done, of: advance(done, of),
        )  # fmt: skip
    finally:
        await client.close()


def _sender(client: Any, key: SigningKey) -> Callable[[Call], Awaitable[tuple[int, CallResult]]]:
    """Sends a call signed by the node's key, through the node."""
    from ledger.chain.result import CallResult
    from ledger.client.builder import Account, build

    async def perform(call: Call) -> tuple[int, CallResult]:
        status = await client.status()
        made = build(
            bytes.fromhex(status["chain"]), int(status["height"]), 1_000, [call], [Account(key)]
        )
        (submitted,) = await client.submit(made.raw, wait=60)
        if not submitted.accepted:
            raise PermissionError(f"{submitted.code}: {submitted.detail}")
        if submitted.outcome is None:
            raise TimeoutError("the transaction is not final yet")
        (outcome,) = submitted.outcome.calls
        done = CallResult(outcome.ok, outcome.error, outcome.value, outcome.gas, ())
        return submitted.outcome.height, done

    return perform


# --- looking -------------------------------------------------------------------------------------


@group.command()
def verify(home: Home, as_json: AsJson = False) -> None:
    """Read every current record again; ends with 1 if one is altered or missing."""
    from ledger.node.setup.home import InvalidHome
    from ledger.node.vault.tables import VaultUnusable

    with expecting(VaultUnusable, InvalidHome, OSError):
        vault = _opened(_home(home))
        try:
            total = vault.count()
            with progress("Records", quiet=as_json) as advance:
                found = vault.verify(lambda done: advance(done, total))
        finally:
            vault.close()
    if as_json:
        findings = [
            {"name": each.name.hex(), "source": each.source, "what": each.what} for each in found
        ]
        write_json({"records": total, "findings": findings})
    else:
        console().print(f"{total:,} records, {len(found):,} altered or missing")
        for each in found:
            console().print(f"- {each.what}: {each.source}", soft_wrap=True, markup=False)
    raise typer.Exit(ExitCode.NO if found else ExitCode.GOOD)


# --- comparing -----------------------------------------------------------------------------------


@group.command()
def reconcile(
    home: Annotated[
        Path | None, typer.Option(help="The node's home: its store and its log are compared.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="A store alone, path or database URL: for whoever has no log."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare releases with receipts, and with the holder's own log; ends with 1 if they differ.

    Changes nothing, and may be used while the node runs.
    """
    from ledger.chain.database import StoreError
    from ledger.chain.store import Store
    from ledger.node.clock import now_ms
    from ledger.node.reconciling import reconcile as compare
    from ledger.node.setup.home import InvalidHome
    from ledger.node.vault.tables import VaultUnusable

    if (home is None) == (store is None):
        fail("either --home or --store", ExitCode.USAGE)
    place = None if home is None else _home(home)
    with expecting(StoreError, VaultUnusable, InvalidHome, OSError, LookupError):
        address = place.store_url if place is not None else str(store)
        source = Store.open(address, read_only=True)
        vault = None if place is None else _opened(place)
        try:
            log = None if vault is None else vault.handed(now_ms)
            found = compare(source, "" if place is None else place.institution, log)
        finally:
            source.close()
            if vault is not None:
                vault.close()
    if as_json:
        write_json(found.value())
    else:
        _show_comparison(found)
    raise typer.Exit(ExitCode.NO if found.discrepancies else ExitCode.GOOD)


def _show_comparison(found: Reconciliation) -> None:
    from ledger.node.reconciling import KINDS

    console().print(
        f"height {found.height}: {found.decisions:,} decisions, {found.releases:,} releases, "
        f"{found.receipts:,} receipts; {found.handed:,} entries of the log; "
        f"{len(found.discrepancies):,} do not fit",
        soft_wrap=True,
    )
    for kind, count in found.counts().items():
        if count:
            console().print(f"{count:,} × {kind}: {KINDS[kind]}", soft_wrap=True, markup=False)
    for each in found.discrepancies[:100]:
        console().print(
            f"- {each.kind} {each.decision}: {each.holder} to {each.institution or 'the patient'}",
            soft_wrap=True, markup=False,
        )  # fmt: skip
