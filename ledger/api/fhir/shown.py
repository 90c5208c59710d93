"""What this server has shown to whom: the pointers of a search, for as long as they may be used.

A pointer that another holder showed on an enquiry is nowhere else at this node, and whether a
caller may know of it was decided for her alone. So what was shown is remembered for one caller,
acting for one institution, for an hour, which is as long as holders answer an enquiry; and of an id
that was not shown to her, nobody says that it exists.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.api.fhir.purpose import Purpose
from ledger.api.principal import Principal
from ledger.chain.exchange import Shown
from ledger.fhir.outcome import Issue

#: Seconds for which what was shown may be used.
LIFETIME: Final = 3_600.0
#: Listings of one caller, and pointers of all, that are remembered.
MAX_OF_ONE: Final = 64
MAX_POINTERS: Final = 100_000

Who = tuple[str, str, str]


def who_is(principal: Principal) -> Who:
    """For whom something is remembered."""
    return principal.kind, principal.id, principal.institution


@dataclass(slots=True)
class Found:
    """One pointer that was shown, and what was learnt of the record since.

    ``purpose``: what for. ``sha1`` and ``type``: of the bytes, once the caller has fetched them.
    """

    shown: Shown
    purpose: Purpose | None
    sha1: bytes = b""
    type: str = ""
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> bytes:
        return self.shown.pointer.name()


@dataclass(slots=True)
class Listing:
    """The answer to one search, of which pages are shown. ``problems``: what is missing in it."""

    id: str
    who: Who
    found: Sequence[Found]
    problems: tuple[Issue, ...]
    until: float
    by_name: dict[bytes, Found] = field(default_factory=dict)


class Memory:
    """Listings by who may use them. ``clock``: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listings: OrderedDict[str, Listing] = OrderedDict()

    def keep(
        self, principal: Principal, found: Sequence[Found], problems: Sequence[Issue] = ()
    ) -> Listing:
        """Remember what a caller is shown."""
        who, now = who_is(principal), self._clock()
        listing = Listing(
            secrets.token_hex(8), who, found, tuple(problems), now + LIFETIME,
            {each.name: each for each in found},
        )  # fmt: skip
        own = [each.id for each in self._listings.values() if each.who == who]
        for old in own[: max(0, len(own) + 1 - MAX_OF_ONE)]:
            del self._listings[old]
        self._listings[listing.id] = listing
        held = sum(len(each.found) + 1 for each in self._listings.values())
        for oldest in list(self._listings.values())[:-1]:
            if oldest.until > now and held <= MAX_POINTERS:
                break
            held -= len(oldest.found) + 1
            del self._listings[oldest.id]
        return listing

    def listing(self, principal: Principal, identity: str) -> Listing | None:
        """A listing of this caller, while it may be used."""
        found = self._listings.get(identity)
        if found is None or found.who != who_is(principal) or found.until <= self._clock():
            return None
        return found

    def find(self, principal: Principal, name: bytes) -> Found | None:
        """The newest that this caller was shown of a record."""
        who, now = who_is(principal), self._clock()
        for listing in reversed(self._listings.values()):
            if listing.who == who and listing.until > now and name in listing.by_name:
                return listing.by_name[name]
        return None
