"""``health-ledger indicators``: what a chain shows of how well its members work together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, progress, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.audit.indicators.keeping import Kept
    from ledger.audit.indicators.report import Answer, Question
    from ledger.audit.indicators.suppression import Shown
    from ledger.chain.genesis import Genesis
    from ledger.chain.store import Store

_HIDDEN = "–"


def indicators(
    store: Annotated[str, typer.Option(help="A node's store: its path or database URL.")],
    genesis: Annotated[
        Path | None,
        typer.Option(help="Your own copy of the genesis file, to be sure of the chain."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First month of Chinese time: 2026-05.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month.")] = None,
    by: Annotated[str, typer.Option(help="total, county, institution or month.")] = "total",
    minimum_cell: Annotated[
        int, typer.Option(help="The smallest number other than 0 that is shown; 3 or more.")
    ] = 5,
    keep: Annotated[
        Path | None, typer.Option(help="File in which the counts are kept for the next run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the indicators from the blocks of a store, with small numbers hidden."""
    from ledger.audit.indicators.happenings import NotThisChain
    from ledger.audit.indicators.keeping import NotKept
    from ledger.audit.indicators.report import answers, as_of
    from ledger.chain.codec import Malformed
    from ledger.chain.database import StoreError
    from ledger.chain.genesis import read_genesis
    from ledger.chain.store import Store
    from ledger.contracts.machine import GenesisFailed

    question = _question(by, first, last, minimum_cell)
    with expecting(StoreError, Malformed, GenesisFailed, NotThisChain, NotKept, OSError):
        agreement = None if genesis is None else read_genesis(genesis)
        source = Store.open(store, read_only=True)
        try:
            with progress("Counting", quiet=as_json) as advance:
                kept, start = _counted(source, agreement, keep, advance)
            found = answers(kept, question, _counties(source))
        finally:
            source.close()
    if as_json:
        write_json(
            {
                "chain": kept.chain,
                "from_height": start,
                "height": kept.height,
                "genesis_checked": agreement is not None,
                "as_of": as_of(kept, question),
                "by": question.by,
                "from": first,
                "to": last,
                "minimum_cell": question.least,
                "indicators": [answer.as_json() for answer in found],
            }
        )
    else:
        _show(kept, question, start, found)


def _question(by: str, first: str | None, last: str | None, least: int) -> Question:
    from ledger.audit.indicators.report import FIRST_MONTH, GROUPINGS, LAST_MONTH, Question
    from ledger.audit.indicators.suppression import LEAST_MINIMUM

    if by not in GROUPINGS:
        fail(f"--by is one of {', '.join(GROUPINGS)}", ExitCode.USAGE)
    if least < LEAST_MINIMUM:
        fail(f"--minimum-cell is {LEAST_MINIMUM} or more", ExitCode.USAGE)
    for month in (first, last):
        if month is not None and not re.fullmatch(r"[1-9][0-9]{3}-(0[1-9]|1[0-2])", month):
            fail(f"{month}: a month is written like 2026-05", ExitCode.USAGE)
    question = Question(by, first or FIRST_MONTH, last or LAST_MONTH, least)
    if question.first > question.last:
        fail("--from is after --to", ExitCode.USAGE)
    return question


def _counted(
    source: Store,
    genesis: Genesis | None,
    keep: Path | None,
    advance: Callable[[int, int], None],
) -> tuple[Kept, int]:
    """The counts up to the newest block, and from which height on."""
    from ledger.audit.indicators.happenings import NotThisChain, check_beginning, happenings
    from ledger.audit.indicators.keeping import Kept, load, save

    head = source.head()
    if head is None:
        raise NotThisChain("the store is empty")
    if genesis is not None:
        check_beginning(source, genesis)
    chain = head.chain.hex()
    if keep is not None and keep.exists():
        kept = load(keep)
        if kept.chain != chain:
            raise NotThisChain(f"{keep} was kept of another chain")
        start = kept.start
    else:
        start = max(1, source.base())
        kept = Kept(chain, start, start - 1)

    def done(header: Any) -> None:
        kept.height, kept.head, kept.time = header.height, header.hash().hex(), header.time
        advance(header.height, head.height)

    parent = bytes.fromhex(kept.head) or None
    for happening in happenings(source, kept.height + 1, parent, done):
        kept.tally.take(happening)
    if keep is not None:
        save(kept, keep)
    return kept, start


def _counties(source: Store) -> Callable[[str], str]:
    """The county of an institution, as the newest state has it."""
    from ledger.chain.codec import decode_value
    from ledger.chain.limits import MAX_STATE_VALUE_BYTES
    from ledger.chain.verified import VerifiedReads

    read = VerifiedReads(source).state(source.height())
    known: dict[str, str] = {}

    def county(institution: str) -> str:
        if institution not in known:
            raw = read(f"governance/institutions/{institution}".encode())
            entry = None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)
            known[institution] = str(entry["county"]) if isinstance(entry, dict) else ""
        return known[institution]

    return county


def _show(kept: Kept, question: Question, start: int, found: list[Answer]) -> None:
    out = console()
    out.print(f"chain {kept.chain}")
    out.print(f"heights {start} to {kept.height}, by {question.by}")
    out.print(
        f"{_HIDDEN}: hidden, because it is from 1 to {question.least - 1} or would give such a "
        "number away",
        style="dim",
    )
    for answer in found:
        out.print(f"\n[bold]{answer.indicator.name}[/]: {answer.indicator.unit}")
        _show_tree(answer.shown, "total", 1)
        for name, groups in answer.shares.items():
            for group, value in groups.items():
                out.print(f"  {name}{_of(group)}: {value / 10:.1f} %", markup=False)
        for group, values in answer.minutes.items():
            told = ", ".join(f"{name} {minutes}" for name, minutes in values.items())
            out.print(f"  minutes{_of(group)}: {told}", markup=False)


def _of(group: str) -> str:
    return f" of {group}" if group else ""


def _show_tree(shown: Shown, name: str, depth: int) -> None:
    number = _HIDDEN if shown.number is None else f"{shown.number:,}"
    console().print(f"{'  ' * depth}{name}: {number}", markup=False)
    if shown.parts is None and shown.number is not None:
        console().print(f"{'  ' * (depth + 1)}{_HIDDEN}", markup=False)
    for part in shown.parts or {}:
        _show_tree((shown.parts or {})[part], part, depth + 1)
