"""An event as the JSON that listeners get, whichever way it comes to them."""

from __future__ import annotations

import msgspec

from ledger.chain.values import to_json
from ledger.node.answers import LedgerEvent


def event_json(event: LedgerEvent) -> bytes:
    """One event; the same bytes at every node. The API describes it as ``StreamedEvent``."""
    return msgspec.json.encode(
        {
            "cursor": str(event.cursor),
            "height": event.cursor.height,
            "time": event.time,
            "transaction": event.transaction,
            "call": event.call,
            "contract": event.contract,
            "name": event.name,
            "fields": to_json(event.fields),
        }
    )
