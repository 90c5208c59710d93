"""How deliveries stand, for who watches a node."""

from __future__ import annotations

from typing import NamedTuple


class Standing(NamedTuple):
    """One subscription, or one lane of messages.

    ``delivered``: events taken since it was made. ``refused``: events kept aside. ``failures``:
    attempts at the event that waits now. ``age_s``: seconds since the block of that event, 0 where
    none waits.
    """

    id: str
    delivered: int
    refused: int
    failures: int
    suspended: bool
    age_s: float
