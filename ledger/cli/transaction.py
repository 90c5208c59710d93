"""``health-ledger tx``: signing and submitting transactions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, connect
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, progress, write_json
from ledger.cli.passphrase import passphrase_source

if TYPE_CHECKING:
    from ledger.client.builder import Account
    from ledger.client.http import Client
    from ledger.client.requests import Submitted

MAX_ARGUMENT_BYTES = 1024 * 1024

group = typer.Typer(help="Sign and submit transactions.", no_args_is_help=True)


@group.callback()
def options() -> None:
    """Sign and submit transactions."""


@group.command()
def submit(
    url: Annotated[str, typer.Option(help="Base URL of a node.")],
    contract: Annotated[str, typer.Option(help="Contract to call.")],
    method: Annotated[str, typer.Option(help="Method to call.")],
    arguments: Annotated[
        str,
        typer.Option(
            "--args",
            help='Named arguments as JSON, or @FILE. Bytes are {"$bytes": base64}.',
        ),
    ] = "{}",
    home: Annotated[
        Path | None, typer.Option(help="Network home, for keys of founding people.")
    ] = None,
    persons: Annotated[
        list[str] | None,
        typer.Option("--as", help="Label or id of a person in --home; again for co-signers."),
    ] = None,
    keys: Annotated[
        list[Path] | None, typer.Option("--key", help="Key file; again for co-signers.")
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Heights for which it stays valid.")
    ] = 100,
    wait: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds to wait until it is final.")
    ] = 0,
    receipt: Annotated[
        Path | None, typer.Option(help="Keep the receipt in this file (needs --wait).")
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Sign a call and submit it; ends with 1 if it was refused or did not succeed in time.

    The first signer is the caller.
    """
    from ledger.chain.receipt import dump_receipt

    if receipt is not None and not wait:
        fail("--receipt needs --wait", ExitCode.USAGE)
    named = read_arguments(arguments)
    accounts, chain = signers(home, persons or [], keys or [])
    with connect(url, token) as client:
        answer, tx_id = sign_and_send(
            client, chain, accounts, contract, method, named,
            window=window, wait=wait, quiet=as_json,
        )  # fmt: skip
        if receipt is not None and answer.outcome is not None:
            with expecting(OSError):
                receipt.write_bytes(dump_receipt(client.receipt(tx_id)))
    tell(answer, tx_id, wait=wait, as_json=as_json)


def sign_and_send(
    client: Client,
    chain: bytes | None,
    accounts: Sequence[Account],
    contract: str,
    method: str,
    arguments: dict[str, Any],
    *,
    window: int,
    wait: float,
    quiet: bool,
) -> tuple[Submitted, bytes]:
    """Submit one call; returns the node's answer and the transaction's id."""
    from ledger.chain.codec import Malformed
    from ledger.client.builder import build, call

    status = client.status()
    if chain is not None and status.get("chain") != chain.hex():
        fail("the node belongs to another chain than --home")
    with expecting(KeyError, TypeError, ValueError):
        known_chain, height = bytes.fromhex(status["chain"]), int(status["height"])
    with expecting(Malformed):
        transaction = build(
            known_chain, height, window, [call(contract, method, **arguments)], accounts
        )
    with progress("Waiting until it is final", quiet=quiet or not wait):
        return client.submit(transaction.raw, wait=wait)[0], transaction.id


def tell(answer: Submitted, tx_id: bytes, *, wait: float, as_json: bool) -> None:
    """Say what became of a submitted transaction, and end with 1 where it was not good."""
    if as_json:
        write_json(_as_json(answer, tx_id))
    else:
        _show(answer, tx_id)
    final_and_good = answer.outcome is not None and answer.outcome.ok
    good = final_and_good if wait else answer.accepted
    raise typer.Exit(ExitCode.GOOD if good else ExitCode.NO)


def read_arguments(text: str) -> dict[str, Any]:
    """The named arguments of ``--args``."""
    from ledger.chain.codec import Malformed
    from ledger.chain.values import from_json

    try:
        if text.startswith("@"):
            with Path(text[1:]).open("rb") as stream:
                text = stream.read(MAX_ARGUMENT_BYTES).decode()
        given = json.loads(text)
        if not isinstance(given, dict):
            raise Malformed("a JSON object is needed")
        return {name: from_json(value) for name, value in given.items()}
    except (OSError, ValueError, RecursionError) as error:
        fail(f"--args: {error}", ExitCode.USAGE)


def signers(
    home: Path | None, persons: Sequence[str], keys: Sequence[Path]
) -> tuple[list[Account], bytes | None]:
    """The accounts that sign, and the chain id where the home tells it."""
    from ledger.chain.codec import Malformed
    from ledger.chain.genesis import read_genesis
    from ledger.client.builder import Account
    from ledger.crypto.keyfile import KeyFileError, load_key
    from ledger.node.setup.people import load_people
    from ledger.node.setup.tomlfile import InvalidFile

    if bool(persons) == bool(keys) or bool(persons) != (home is not None):
        fail("give either --key, or --home with --as", ExitCode.USAGE)
    source = passphrase_source()
    with expecting(InvalidFile, KeyFileError, Malformed, OSError):
        if home is None:
            return [Account(load_key(path, source)) for path in keys], None
        people = load_people(home)
        by_name = {name: person for person in people for name in (person.key, person.id)}
        strangers = [name for name in persons if name not in by_name]
        if strangers:
            fail(f"{home} knows nobody called {strangers[0]}")
        accounts = [Account(people.signing_key(by_name[name], source)) for name in persons]
        return accounts, read_genesis(home / "genesis.json").chain_id()


def _as_json(answer: Submitted, tx_id: bytes) -> dict[str, Any]:
    from ledger.chain.values import to_json

    outcome = answer.outcome
    return {
        "id": tx_id.hex(),
        "accepted": answer.accepted,
        "code": answer.code,
        "detail": answer.detail,
        "final": outcome is not None,
        "height": None if outcome is None else outcome.height,
        "calls": None
        if outcome is None
        else [
            {
                "ok": result.ok,
                "error": result.error,
                "value": to_json(result.value),
                "gas": result.gas,
                "events": to_json(result.events),
            }
            for result in outcome.calls
        ],
    }


def _show(answer: Submitted, tx_id: bytes) -> None:
    from rich.markup import escape

    from ledger.chain.values import to_json

    out = console()
    out.print(tx_id.hex(), soft_wrap=True)
    if not answer.accepted:
        out.print(f"[bold red]refused[/] {escape(f'{answer.code}: {answer.detail}')}")
    elif answer.outcome is None:
        out.print(f"{escape(answer.code)}, not final yet")
    else:
        for result in answer.outcome.calls:
            if result.ok:
                value = json.dumps(to_json(result.value), ensure_ascii=False)
                out.print(f"[green]done[/] at height {answer.outcome.height}: {escape(value)}")
            else:
                out.print(f"[bold red]failed[/] {escape(result.error)}")
