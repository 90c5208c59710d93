"""Who may ask for records at all, and how often."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ledger.node.answers import TooOften
from ledger.node.vault.release import Refused, Why

#: Requests of one person in a minute.
PER_MINUTE: Final = 240

#: The ``registry`` entry of a key's hex text, or None: ``whois`` of that contract.
WhoIs = Callable[[str], Mapping[str, Any] | None]


class Turnstile:
    """Lets registered people in good standing pass, each so many times a minute.

    It counts people and not keys or addresses: nobody has more than one entry in the registry, and
    whoever has none is turned away before anything is counted or computed.

    Args:
        whois: the registry of the newest block.
        clock: milliseconds since 1970-01-01 UTC.
        per_minute: requests of one person.
    """

    def __init__(
        self, whois: WhoIs, clock: Callable[[], int], per_minute: int = PER_MINUTE
    ) -> None:
        self._whois = whois
        self._clock = clock
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admit(self, key: str) -> Mapping[str, Any]:
        """The registry's entry for a key whose signature is good.

        Raises:
            Refused: nobody in good standing.
            TooOften: too many requests.
        """
        person = self._whois(key)
        if person is None or person["status"] != "active":
            raise Refused(Why.NO_STANDING)
        if not self._limiter.hit(self._item, person["id"]):
            reset = self._limiter.get_window_stats(self._item, person["id"]).reset_time
            raise TooOften(max(1, math.ceil(reset - self._clock() / 1000)))
        return person
