"""``health-ledger contract simulate``: what a chain would decide with another source in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.authoring import read_source
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    from ledger.chain.result import CallResult
    from ledger.chain.store import Store
    from ledger.decisions.trial import Trial

MAX_REQUEST_BYTES = 1024 * 1024


def simulate(
    contract: Annotated[str, typer.Argument(help="The source to try: a file.")],
    store: Annotated[str, typer.Option(help="A node's store: its path or database URL.")],
    request: Annotated[
        str | None,
        typer.Option(help="A request as JSON, or @FILE: requester, pointer, purpose, …"),
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Id of a decision on the chain, to decide it anew.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=0, help="The state after that block; otherwise the newest.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The contract that it stands for; otherwise the file's name.")
    ] = None,
    genesis: Annotated[
        Path | None, typer.Option(help="Your own copy of the genesis file: refuse other chains.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide one request with and without a source in place, on a copy of a chain; writes nothing.

    A decision is repeated on the state before its block, at its time.
    """
    if (request is None) == (decision is None):
        fail("give one of --request and --decision", ExitCode.USAGE)
    stem, source = read_source(contract)
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.store import Store
    from ledger.contracts.problems import InvalidContract
    from ledger.decisions.finding import NotAnId, NotFound
    from ledger.decisions.trial import CannotTry

    with expecting(StoreError, Malformed, OSError, LookupError):
        opened = Store.open(store, read_only=True)
        try:
            _same_chain(opened, genesis)
            trial = _try(opened, name or stem, source, request, decision, height)
        except (CannotTry, NotAnId) as error:
            fail(str(error), ExitCode.USAGE)
        except InvalidContract as error:
            fail(f"{contract} is no contract: {error}", ExitCode.NO)
        except NotFound as error:
            fail(str(error), ExitCode.NO)
        finally:
            opened.close()
    if as_json:
        write_json(
            {
                "contract": trial.contract,
                "height": trial.height,
                "differs": trial.differs,
                "before": _as_json(trial.before),
                "after": _as_json(trial.after),
            }
        )
    else:
        _show(trial)


def _same_chain(store: Store, genesis: Path | None) -> None:
    from ledger.chain.genesis import read_genesis

    if genesis is None:
        return
    head = store.head()
    if head is None or head.chain != read_genesis(genesis).chain_id():
        fail("the store holds another chain than the genesis file", ExitCode.NO)


def _try(
    store: Store,
    name: str,
    source: str,
    wanted: str | None,
    decision: str | None,
    height: int | None,
) -> Trial:
    from ledger.chain.verified import VerifiedReads
    from ledger.contracts.machine import BlockContext
    from ledger.decisions.finding import decisions
    from ledger.decisions.origin import StoreOrigin
    from ledger.decisions.trial import attempt, request

    reads = VerifiedReads(store)
    if decision is not None:
        origin = StoreOrigin(store, None)
        found = decisions(origin, decision)[0]
        settled = origin.settled(bytes.fromhex(found.transaction))
        assert settled is not None
        at = found.height - 1 if height is None else height
        context = BlockContext(settled.header.chain, found.height, found.time)
        return attempt(reads.state(at), context, settled.transaction, found.call, name, source)
    assert wanted is not None
    header = reads.header(store.height() if height is None else height)
    if header is None:
        raise LookupError(f"the store has no block at height {height}")
    read = reads.state(header.height)
    context = BlockContext(header.chain, header.height + 1, header.time)
    transaction = request(read, context, _wanted(wanted))
    return attempt(read, context, transaction, 0, name, source)


def _wanted(text: str) -> dict[str, Any]:
    from ledger.chain.codec import Malformed
    from ledger.chain.values import from_json
    from ledger.decisions.trial import CannotTry

    try:
        if text.startswith("@"):
            with Path(text[1:]).open("rb") as stream:
                text = stream.read(MAX_REQUEST_BYTES).decode()
        given = json.loads(text)
        if not isinstance(given, dict):
            raise CannotTry("--request: a JSON object is needed")
        return {word: from_json(value) for word, value in given.items()}
    except (OSError, Malformed, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CannotTry(f"--request: {error}") from None


def _as_json(result: CallResult) -> dict[str, Any]:
    from ledger.chain.values import to_json

    return {
        "ok": result.ok,
        "error": result.error,
        "gas": result.gas,
        "decision": to_json(result.value),
    }


def _show(trial: Trial) -> None:
    from rich.markup import escape

    out = console()
    for word, result in (("as it is", trial.before), (f"with {trial.contract}", trial.after)):
        if not result.ok:
            out.print(f"{escape(word)}: [red]failed[/] {escape(result.error)}", soft_wrap=True)
            continue
        value = result.value
        colour = "green" if value["outcome"] == "permit" else "red"
        out.print(
            f"{escape(word)}: [{colour}]{value['outcome']}[/] {escape(value['rule'])} "
            f"({result.gas:,} gas)",
            soft_wrap=True,
        )
        for step in value["path"]:
            place = f"{step['contract']} v{step['version']}, line {step['line']}"
            out.print(f"  {step['effect']} {escape(step['rule'])}: {escape(place)}", soft_wrap=True)
        if value["obligations"]:
            out.print(f"  obligations {escape(', '.join(value['obligations']))}", soft_wrap=True)
    out.print("The decision would be another one." if trial.differs else "No difference.")
