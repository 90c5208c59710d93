"""Anchoring a holder's records: from the source into the vault, from the vault onto the chain.

Everything here can stop at any moment and be done again: the vault remembers its batches, and a
batch that is on the chain already is refused there with a code that counts as done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import structlog

from ledger.chain.result import CallResult
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.node.vault.intake import TakeIn
from ledger.node.vault.vault import Batch, Vault

_log = structlog.get_logger(__name__)

#: Pointers in one batch: a proof of 12 hashes, and 2,500 transactions for ten million records.
BATCH: Final = 4_096
#: Batches that wait for a block at the same time.
IN_FLIGHT: Final = 16

#: Sends one call signed by the node; its height and result once it is final.
Perform = Callable[[Call], Awaitable[tuple[int, CallResult]]]
#: Told what is being done, how much of it is done, and of how much; 0 where that is not known.
Progress = Callable[[str, int, int], None]


class AnchoringFailed(Exception):
    """The chain refused a batch."""


async def anchor(
    vault: Vault,
    holder: str,
    subjects: Mapping[str, str],
    now: int,
    perform: Perform,
    label_keys: Mapping[str, LabelKey] | None = None,
    progress: Progress = lambda _what, _done, _all: None,
) -> TakeIn:
    """Take in what is new or changed in the source and anchor it.

    Args:
        subjects: patient reference such as ``Patient/f001`` → pseudonym.
        now: milliseconds since 1970 UTC.
        label_keys: pseudonym → the key of that patient's label tokens.
        progress: told on this thread and on others.

    Raises:
        AnchoringFailed: a batch was refused for another reason than being there already.
    """
    began = time.monotonic()
    passing = vault.passing(lambda: now + int((time.monotonic() - began) * 1_000))
    await asyncio.to_thread(passing.begin)
    counts: dict[str, int] = {}

    def taken(report: TakeIn) -> None:
        counts.update(report.counts())
        progress("taking in", report.seen, 0)
        passing.note("taking in", counts)

    def done(what: str, count: int, of: int) -> None:
        counts[what] = count
        progress(what, count, of)
        passing.note(what, counts, at_once=count == of)

    try:
        report = await asyncio.to_thread(
            vault.take_in, subjects, holder, now, taken, label_keys=label_keys
        )
        counts.update(report.counts())
        await _anchor_batches(vault, holder, perform, done)
        await _supersede(vault, holder, perform, done)
    except BaseException as error:
        if isinstance(error, Exception):
            await asyncio.to_thread(passing.end, f"{type(error).__name__}: {error}"[:500])
        raise
    await asyncio.to_thread(passing.end)
    _log.info(
        "records_anchored",
        new=report.new,
        changed=report.changed,
        unchanged=report.unchanged,
        problems=report.unreadable,
    )
    return report


async def _anchor_batches(
    vault: Vault, holder: str, perform: Perform, done: Callable[[str, int, int], None]
) -> None:
    waiting = await asyncio.to_thread(vault.batches, BATCH)
    count = 0

    async def one(batch: Batch) -> None:
        nonlocal count
        arguments = {"holder": holder, "root": batch.root, "size": batch.size}
        height, result = await perform(Call("records", "anchor_many", arguments))
        if not result.ok and not result.error.startswith("already_anchored"):
            raise AnchoringFailed(result.error)
        await asyncio.to_thread(vault.anchored, batch.root, height)
        count += 1
        done("batches", count, len(waiting))

    await _at_once(map(one, waiting))


async def _supersede(
    vault: Vault, holder: str, perform: Perform, done: Callable[[str, int, int], None]
) -> None:
    count = 0

    async def one(old: bytes, new: bytes) -> None:
        nonlocal count
        arguments = {"holder": holder, "old": old, "new": new}
        _height, result = await perform(Call("records", "supersede", arguments))
        if result.ok or result.error.startswith("already_in_error"):
            await asyncio.to_thread(vault.announced, old)
        else:
            _log.warning("supersede_refused", error=result.error)
        count += 1
        done("superseded", count, 0)

    after = 0
    while page := await asyncio.to_thread(vault.supersessions, after):
        after = page[-1].record
        await _at_once(one(each.old, each.new) for each in page)


async def _at_once(works: Iterable[Awaitable[None]]) -> None:
    """Do all of them, `IN_FLIGHT` at a time; the first failure ends it."""
    remaining = iter(works)

    async def worker() -> None:
        for work in remaining:
            await work

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for work in remaining:
            if asyncio.iscoroutine(work):
                work.close()
