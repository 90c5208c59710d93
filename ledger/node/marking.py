"""Saying on the chain, once a day, how far a log of this node has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from ledger.chain.result import CallResult
from ledger.chain.store import StoreAway
from ledger.chain.transaction import Call
from ledger.node.anchoring import Perform
from ledger.node.journal import Journal

_log = structlog.get_logger(__name__)

#: The log of sign-ins, as the contract `journals` calls it.
SIGN_IN: Final = "sign-in"
DAY_MS: Final = 24 * 3600 * 1000
CHECK_SECONDS: Final = 3_600.0
RETRY_SECONDS: Final = 10.0

#: Asks a contract: name, method, arguments.
Ask = Callable[[str, str, dict[str, Any]], CallResult]


async def keep_marked(
    node: str, log: str, journal: Journal, now: Callable[[], int], ask: Ask, perform: Perform
) -> None:
    """Mark where a log stands whenever it has grown and a day has passed; runs until cancelled.

    A chain without the contract `journals` gets no marks.

    Args:
        node: this node's id.
        log: the log's name.
        journal: the log.
        now: milliseconds since 1970-01-01 UTC.
        ask: a query of the newest state.
        perform: signs with the node's key.
    """
    while True:
        pause = CHECK_SECONDS
        try:
            await mark_once(node, log, journal, now, ask, perform)
        except (StoreAway, TimeoutError, PermissionError, OSError) as error:
            _log.warning("marking_interrupted", log=log, error=type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)


async def mark_once(
    node: str, log: str, journal: Journal, now: Callable[[], int], ask: Ask, perform: Perform
) -> bool:
    """Mark where a log stands if that is due; whether it was.

    Raises:
        StoreAway, TimeoutError, PermissionError: the node cannot send it now.
    """
    answer = await asyncio.to_thread(ask, "journals", "marks_of", {"node": node, "log": log})
    if not answer.ok:
        return False
    head = journal.head
    last = answer.value[-1] if answer.value else {"entries": 0, "time": 0}
    if head.entries <= last["entries"] or now() - last["time"] < DAY_MS:
        if head.entries < last["entries"]:
            _log.error("log_shorter_than_marked", log=log, entries=head.entries)
        return False
    arguments = {"log": log, "entries": head.entries, "hash": head.hash}
    _height, result = await perform(Call("journals", "mark", arguments))
    if not result.ok:
        _log.error("not_marked", log=log, error=result.error)
    return result.ok
