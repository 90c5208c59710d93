"""``health-ledger archive``: blocks that a node has handed over to files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from ledger.chain.archiveverifier import Summary
    from ledger.chain.handover import Trust

group = typer.Typer(help="Write, check and read archive files.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Archive files, or directories of them.")]
GenesisFile = Annotated[Path, typer.Option("--genesis", help="Your own copy of the genesis file.")]
Store = Annotated[str, typer.Option(help="A node's store: its path or database URL.")]


@group.command()
def verify(files: Files, genesis: GenesisFile, as_json: AsJson = False) -> None:
    """Check whole archive files with nothing but the genesis; ends with 1 if one is not good."""
    from ledger.chain.archiveverifier import verify_archive
    from ledger.chain.codec import Malformed
    from ledger.chain.handover import InvalidProof

    trust = _trust(genesis)
    found: list[dict[str, Any]] = []
    for path in _archives(files):
        with expecting(OSError), progress(path.name, quiet=as_json) as advance:
            try:
                answer = _summary_json(path, verify_archive(path, trust, advance))
            except (Malformed, InvalidProof) as error:
                answer = {"file": str(path), "verified": False, "reason": str(error)}
        found.append(answer)
        if not as_json:
            _show_verified(answer)
    good = all(answer["verified"] for answer in found)
    if as_json:
        write_json({"verified": good, "archives": found})
    raise typer.Exit(ExitCode.GOOD if good else ExitCode.NO)


@group.command("list")
def list_(files: Files, as_json: AsJson = False) -> None:
    """Say what archive files claim to hold, in the order of their heights; checks nothing."""
    from ledger.chain.archive import Archive
    from ledger.chain.codec import Malformed

    found = []
    with expecting(Malformed, OSError):
        for path in _archives(files):
            with Archive(path) as opened:
                found.append(
                    {
                        "file": str(path),
                        "chain": opened.chain.hex(),
                        "first": opened.first,
                        "last": opened.last,
                        "transactions": opened.transactions,
                        "bytes": path.stat().st_size,
                    }
                )
    found.sort(key=lambda entry: (entry["chain"], entry["first"], entry["last"]))
    if as_json:
        write_json({"archives": found})
        return
    from rich.markup import escape

    for entry in found:
        console().print(
            f"blocks {entry['first']} to {entry['last']}, {entry['transactions']} transactions, "
            f"{entry['bytes']} bytes: {escape(entry['file'])}",
            soft_wrap=True,
        )


@group.command()
def show(
    files: Files,
    height: Annotated[int, typer.Option(min=1, help="The block to show.")],
) -> None:
    """Print one archived block as JSON; ends with 1 if no file holds it."""
    from ledger.chain.archive import Archive

    with expecting(ValueError, OSError):
        for path in _archives(files):
            with Archive(path) as opened:
                if opened.first <= height <= opened.last:
                    write_json(_block_json(path, opened, height))
                    return
    fail(f"no archive here holds block {height}", ExitCode.NO)


@group.command()
def receipt(
    files: Files,
    transaction: Annotated[str, typer.Option(help="The transaction's id in hex.")],
    out: Annotated[Path | None, typer.Option(help="File to write; standard output else.")] = None,
) -> None:
    """Make the receipt of an archived transaction; ends with 1 if no file holds it.

    It is like any other: audit verify --receipt checks it offline.
    """
    from ledger.chain.archive import Archive
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.receipt import dump_receipt

    try:
        identity = bytes.fromhex(transaction)
    except ValueError:
        identity = b""
    if len(identity) != 32:
        fail("a transaction's id is 64 hex digits", ExitCode.USAGE)
    if out is not None and out.exists():
        fail(f"{out} is there already")
    with expecting(Malformed, StoreError, OSError):
        for path in _archives(files):
            with Archive(path) as opened:
                found = opened.receipt(identity)
            if found is None:
                continue
            if out is None:
                sys.stdout.write(dump_receipt(found).decode() + "\n")
            else:
                out.write_bytes(dump_receipt(found))
                console().print(f"Wrote {out}, from block {found.header.height}.")
            return
    fail(f"no archive here holds the transaction {transaction}", ExitCode.NO)


@group.command()
def write(
    store: Store,
    genesis: GenesisFile,
    first: Annotated[int, typer.Option(min=1, help="First height.")],
    last: Annotated[int, typer.Option(min=1, help="Last height, included.")],
    out: Annotated[Path, typer.Option(help="Directory to write to; made if need be.")],
    as_json: AsJson = False,
) -> None:
    """Write blocks of a store to an archive file; the store keeps them."""
    from ledger.chain import store as stores
    from ledger.chain.archivewriter import write_archive

    if last < first:
        fail("--last is below --first", ExitCode.USAGE)
    trust = _trust(genesis)
    with expecting(stores.StoreError, ValueError):
        source = stores.Store.open(store, read_only=True)
        try:
            path, summary = write_archive(source, out, first, last, trust)
        finally:
            source.close()
    if as_json:
        write_json(_summary_json(path, summary))
    else:
        console().print(f"Wrote {path}, {summary.size} bytes.", soft_wrap=True)


def _trust(genesis: Path) -> Trust:
    from ledger.chain.codec import Malformed
    from ledger.chain.genesis import read_genesis
    from ledger.client.verify import trust_in

    with expecting(Malformed, OSError):
        return trust_in(read_genesis(genesis))


def _archives(files: list[Path]) -> list[Path]:
    """The files as given, and of directories those with an archive's name in order of heights."""
    from ledger.chain.archive import archives_in

    found: list[Path] = []
    for path in files:
        found += archives_in(path) if path.is_dir() else [path]
    if not found:
        fail("there is no archive file here")
    return found


def _summary_json(path: Path, summary: Summary) -> dict[str, Any]:
    return {
        "file": str(path),
        "verified": True,
        "chain": summary.chain.hex(),
        "first": summary.first,
        "last": summary.last,
        "transactions": summary.transactions,
        "bytes": summary.size,
        "hash": summary.hash.hex(),
    }


def _show_verified(answer: dict[str, Any]) -> None:
    from rich.markup import escape

    name = escape(answer["file"])
    if answer["verified"]:
        console().print(
            f"[bold green]verified[/] blocks {answer['first']} to {answer['last']}, "
            f"{answer['transactions']} transactions: {name}",
            soft_wrap=True,
        )
    else:
        error_console().print(
            f"[bold red]not good[/] {name}: {escape(answer['reason'])}", soft_wrap=True
        )


def _block_json(path: Path, opened: Any, height: int) -> dict[str, Any]:
    import msgspec

    from ledger.chain.result import decode_result
    from ledger.chain.transaction import decode_transaction
    from ledger.chain.values import to_json

    block = opened.block(height)
    header = msgspec.structs.asdict(block.header)
    items = []
    for envelope, raw in zip(block.transactions, block.results, strict=True):
        body, result = decode_transaction(envelope).body, decode_result(raw)
        items.append(
            {
                "id": result.transaction.hex(),
                "signers": [signer.hex() for signer in body.signers],
                "calls": [
                    {
                        "contract": call.contract,
                        "method": call.method,
                        "arguments": to_json(call.arguments),
                        "ok": outcome.ok,
                        "error": outcome.error,
                        "value": to_json(outcome.value),
                    }
                    for call, outcome in zip(body.calls, result.calls, strict=True)
                ],
            }
        )
    return {
        "file": str(path),
        "header": {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in header.items()
        },
        "block": block.header.hash().hex(),
        "certified_by": [entry.node for entry in block.certificate.signatures],
        "transactions": items,
    }
