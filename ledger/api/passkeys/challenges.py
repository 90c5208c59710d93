"""Challenges that are good once, and not for long."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

NONCE_BYTES: Final = 32
#: How long a person has to find her device and confirm, in seconds.
LIFETIME_S: Final = 300.0
MAX_OPEN: Final = 10_000


class Challenges:
    """The challenges that a node has given out and that were not used yet.

    Each is for one purpose, and for what it was given out with. When there are too many, the oldest
    are no longer good.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def new(self, purpose: str) -> bytes:
        """A fresh nonce of 32 bytes."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        self._open[purpose, nonce] = self._clock() + LIFETIME_S
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        return nonce

    def take(self, purpose: str, nonce: bytes) -> bool:
        """Whether a nonce was given out for this purpose, is not too old, and was not used before.
        It is used now."""
        ends = self._open.pop((purpose, nonce), None)
        return ends is not None and self._clock() < ends
