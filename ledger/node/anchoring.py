"""Anchoring a holder's records: from the source into the vault, from the vault onto the chain.

Everything here can stop at any moment and be done again: the vault remembers its batches, and a
batch that is on the chain already is refused there with a code that counts as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from ledger.chain.result import CallResult
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.node.vault.intake import TakeIn
from ledger.node.vault.vault import Vault

_log = structlog.get_logger(__name__)

BATCH = 1_000

#: Sends one call signed by the node; its height and result once it is final.
Perform = Callable[[Call], Awaitable[tuple[int, CallResult]]]


class AnchoringFailed(Exception):
    """The chain refused a batch."""


async def anchor(
    vault: Vault,
    holder: str,
    subjects: Mapping[str, str],
    now: int,
    perform: Perform,
    label_keys: Mapping[str, LabelKey] | None = None,
) -> TakeIn:
    """Take in what is new or changed in the source and anchor it.

    Args:
        subjects: patient reference such as ``Patient/f001`` → pseudonym.
        now: milliseconds since 1970 UTC.
        label_keys: pseudonym → the key of that patient's label tokens.

    Raises:
        AnchoringFailed: a batch was refused for another reason than being there already.
    """
    report = await asyncio.to_thread(vault.take_in, subjects, holder, now, label_keys=label_keys)
    for batch in await asyncio.to_thread(vault.batches, BATCH):
        height, result = await perform(
            Call(
                "records", "anchor_many", {"holder": holder, "root": batch.root, "size": batch.size}
            )
        )
        if not result.ok and not result.error.startswith("already_anchored"):
            raise AnchoringFailed(result.error)
        await asyncio.to_thread(vault.anchored, batch.root, height)
    for old, new in await asyncio.to_thread(vault.supersessions):
        _height, result = await perform(
            Call("records", "supersede", {"holder": holder, "old": old, "new": new})
        )
        if result.ok:
            await asyncio.to_thread(vault.announced, old)
        else:
            _log.warning("supersede_refused", error=result.error)
    _log.info(
        "records_anchored",
        new=report.new,
        changed=report.changed,
        unchanged=report.unchanged,
        problems=len(report.problems),
    )
    return report
