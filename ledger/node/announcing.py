"""Saying on the chain where this node answers, once, and again when its settings say otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from ledger.chain.store import StoreAway
from ledger.chain.transaction import Call
from ledger.node.anchoring import Perform

_log = structlog.get_logger(__name__)

CHECK_SECONDS: Final = 3_600.0
RETRY_SECONDS: Final = 10.0


async def keep_announced(
    institution: str,
    url: str,
    place: Callable[[str], dict[str, Any] | None],
    perform: Perform,
) -> None:
    """Announce ``url`` wherever the contract `directory` has another one; runs until cancelled.

    Args:
        institution: of this node.
        url: where its exchange of records is reached from outside.
        place: the entry of an institution in the directory, or None.
        perform: signs with the node's key.
    """
    while True:
        pause = CHECK_SECONDS
        try:
            entry = await asyncio.to_thread(place, institution)
            if entry is None or entry["url"] != url:
                arguments = {"institution": institution, "url": url}
                _height, result = await perform(Call("directory", "announce", arguments))
                if result.ok:
                    _log.info("announced", url=url)
                else:
                    _log.error("not_announced", url=url, error=result.error)
        except (StoreAway, TimeoutError, PermissionError, OSError) as error:
            _log.warning("announcing_interrupted", error=type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)
