"""``health-ledger audit``: checking a chain without trusting whoever keeps it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, Url
from ledger.cli.output import (
    AsJson,
    ExitCode,
    console,
    error_console,
    expecting,
    fail,
    progress,
    write_json,
)

if TYPE_CHECKING:
    from ledger.audit.report import AuditReport
    from ledger.audit.source import Source
    from ledger.chain.genesis import Genesis
    from ledger.chain.receipt import Verified

group = typer.Typer(help="Check a chain, or one receipt, offline.", no_args_is_help=True)

GenesisFile = Annotated[Path, typer.Option("--genesis", help="Your own copy of the genesis file.")]
MAX_SHOWN_FAULTS = 20


@group.command()
def verify(
    genesis: GenesisFile,
    store: Annotated[
        str | None, typer.Option(help="A node's store: its path or database URL.")
    ] = None,
    export: Annotated[Path | None, typer.Option(help="A file made by audit export.")] = None,
    receipt: Annotated[Path | None, typer.Option(help="A receipt file.")] = None,
    archives: Annotated[
        list[Path] | None,
        typer.Option(help="Archive files, or a directory of them; alone, or before a store."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a chain from genesis, or check one receipt; ends with 1 if anything is wrong.

    Only the genesis file is believed.
    """
    alone = store is None and bool(archives)
    if sum((store is not None, export is not None, receipt is not None, alone)) != 1:
        fail("give one of --store, --export, --receipt and --archives", ExitCode.USAGE)
    if archives and (export is not None or receipt is not None):
        fail("--archives goes with --store, or stands alone", ExitCode.USAGE)
    agreement = _genesis(genesis)
    if receipt is not None:
        _verify_receipt(agreement, receipt, as_json=as_json)
    else:
        _verify_chain(agreement, store, export, archives or [], as_json=as_json)


@group.command()
def trust(
    genesis: GenesisFile,
    out: Annotated[
        Path | None, typer.Option(help="File to write; standard output without.")
    ] = None,
) -> None:
    """Write the trust file of a genesis: what clients start from that cannot run contracts, such
    as browsers."""
    from ledger.chain.codec import Malformed
    from ledger.client.verify import trust_file, trust_in

    with expecting(Malformed, OSError):
        found = trust_file(trust_in(_genesis(genesis)))
        if out is not None:
            out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if out is None:
        write_json(found)


@group.command()
def export(
    store: Annotated[str, typer.Option(help="A node's store: its path or database URL.")],
    out: Annotated[Path, typer.Option(help="File to write; it must not be there.")],
    as_json: AsJson = False,
) -> None:
    """Write the whole chain to one file, for an auditor without access to the node."""
    from ledger.chain.database import StoreError
    from ledger.chain.export import write_export
    from ledger.chain.store import Store

    if out.exists():
        fail(f"{out} is there already")
    with (
        expecting(StoreError, OSError, ValueError),
        progress("Exporting", quiet=as_json) as advance,
    ):
        source = Store.open(store, read_only=True)
        try:
            blocks = write_export(source, out, advance)
        finally:
            source.close()
    if as_json:
        write_json({"file": str(out), "blocks": blocks, "bytes": out.stat().st_size})
    else:
        console().print(f"Wrote {blocks} blocks, {out.stat().st_size} bytes.")


@group.command()
def journal(
    directory: Annotated[
        Path, typer.Argument(help="The log's files, such as signin/log of a node's home.")
    ],
    node: Annotated[str | None, typer.Option(help="Whose log it is: id of the node.")] = None,
    log: Annotated[str, typer.Option(help="Which log it is.")] = "sign-in",
    url: Url = None,
    store: Annotated[
        str | None, typer.Option(help="A node's store, instead of --url: path or database URL.")
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Hold a node's log against itself, and with --node against its marks on the chain.

    Ends with 1 if a line was changed, put in or taken out.
    """
    from ledger.cli.lifecycle import asking
    from ledger.node.journal import JournalBroken, check

    marks: dict[int, bytes] = {}
    if node is not None:
        with asking(url, store, token) as ask:
            found: Any = ask("journals", "marks_of", {"node": node, "log": log})
        marks = {mark["entries"]: mark["hash"] for mark in found}
    elif url is not None or store is not None:
        fail("--url and --store go with --node", ExitCode.USAGE)
    if not directory.is_dir():
        fail(f"{directory}: there is no such directory")
    try:
        with expecting(OSError):
            head = check(directory, marks)
    except JournalBroken as broken:
        if as_json:
            write_json({"whole": False, "why": str(broken)})
        fail(str(broken), ExitCode.NO)
    if as_json:
        told = {"entries": head.entries, "hash": head.hash.hex(), "marks": len(marks)}
        write_json({"whole": True, **told})
    else:
        held = f", {len(marks)} marks on the chain agree" if marks else ""
        console().print(f"{head.entries} entries hang together{held}.")


def _genesis(path: Path) -> Genesis:
    from ledger.chain.codec import Malformed
    from ledger.chain.genesis import read_genesis

    with expecting(Malformed, OSError):
        return read_genesis(path)


def _verify_chain(
    genesis: Genesis,
    store: str | None,
    export: Path | None,
    archives: list[Path],
    *,
    as_json: bool,
) -> None:
    from ledger.audit.archived import open_archives
    from ledger.audit.source import open_export
    from ledger.audit.verify import NotAuditable, verify_chain
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError

    with expecting(NotAuditable, StoreError, Malformed, OSError):
        if store is not None or archives:
            source: Source = open_archives(archives, store)
        else:
            assert export is not None
            source = open_export(export)
        with progress("Replaying", quiet=as_json) as advance:
            try:
                report = verify_chain(source, genesis, advance)
            finally:
                source.close()
    if as_json:
        write_json(report.as_json())
    else:
        _show_report(report)
    raise typer.Exit(ExitCode.GOOD if report.verified else ExitCode.NO)


def _show_report(report: AuditReport) -> None:
    from rich.markup import escape

    out = console()
    counted = f"{report.blocks} blocks, {report.transactions} transactions"
    if report.verified:
        out.print(f"[bold green]verified[/] {counted} in {report.seconds:.1f} s")
        out.print(f"  chain       {report.chain}", soft_wrap=True)
        out.print(f"  state root  {report.state_root} at height {report.height}", soft_wrap=True)
        for finding in report.findings:
            out.print(
                f"  [yellow]finding {finding.number}[/] {escape(str(finding))}", soft_wrap=True
            )
        return
    wrong = "not good" if report.faults else "not all checked"
    out.print(f"[bold red]{wrong}[/] after {counted}")
    for gap in report.unchecked:
        out.print(f"  not checked: {escape(gap)}", soft_wrap=True)
    for fault in report.faults[:MAX_SHOWN_FAULTS]:
        out.print(f"  {escape(str(fault))}", soft_wrap=True)
    left = len(report.faults) - MAX_SHOWN_FAULTS
    if left > 0:
        out.print(f"  and {left} more; --json has them all")


def _verify_receipt(genesis: Genesis, path: Path, *, as_json: bool) -> None:
    from ledger.audit.verify import NotAuditable, verify_receipt_file
    from ledger.chain.receipt import InvalidReceipt

    with expecting(NotAuditable, OSError):
        try:
            verified = verify_receipt_file(genesis, path)
        except InvalidReceipt as error:
            if as_json:
                write_json({"verified": False, "reason": str(error)})
            else:
                from rich.markup import escape

                error_console().print(f"[bold red]not good[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(ExitCode.NO) from None
    if as_json:
        write_json(_receipt_json(verified))
    else:
        _show_receipt(verified)


def _receipt_json(verified: Verified) -> dict[str, object]:
    from ledger.chain.values import to_json

    calls = zip(verified.transaction.body.calls, verified.result.calls, strict=True)
    return {
        "verified": True,
        "transaction": verified.transaction.id.hex(),
        "chain": verified.header.chain.hex(),
        "height": verified.header.height,
        "time": verified.header.time,
        "signers": [signer.hex() for signer in verified.transaction.body.signers],
        "certified_by": [member.node for member in verified.validators.members],
        "calls": [
            {
                "contract": call.contract,
                "method": call.method,
                "arguments": to_json(call.arguments),
                "ok": result.ok,
                "error": result.error,
                "value": to_json(result.value),
            }
            for call, result in calls
        ],
    }


def _show_receipt(verified: Verified) -> None:
    import json

    from rich.markup import escape

    from ledger.chain.values import to_json

    out = console()
    time = datetime.fromtimestamp(verified.header.time / 1000, UTC)
    out.print(f"[bold green]verified[/] {verified.transaction.id.hex()}", soft_wrap=True)
    out.print(f"  final at height {verified.header.height}, {time:%Y-%m-%d %H:%M:%S} UTC")
    calls = zip(verified.transaction.body.calls, verified.result.calls, strict=True)
    for call, result in calls:
        what = f"{call.contract}.{call.method}"
        if result.ok:
            value = json.dumps(to_json(result.value), ensure_ascii=False)
            out.print(f"  {escape(what)} gave {escape(value)}", soft_wrap=True)
        else:
            out.print(f"  {escape(what)} [red]failed[/] {escape(result.error)}", soft_wrap=True)
