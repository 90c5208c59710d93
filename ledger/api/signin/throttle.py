"""How much one caller may ask for, and how long one who fails has to wait."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from starlette.types import Scope

#: Failures that cost no waiting; after them the pause doubles from one second up to a minute.
FREE_FAILURES: Final = 5
LONGEST_PAUSE_S: Final = 60.0
#: An address that has not failed for so long begins anew.
FORGIVEN_S: Final = 600.0
MAX_REMEMBERED: Final = 10_000


def client_address(scope: Scope, proxies: Collection[str] = ()) -> str:
    """Where a request comes from, with one name for a whole IPv6 network of 64 bits.

    Args:
        scope: of the request.
        proxies: addresses whose word about who asked them (X-Forwarded-For) is believed.
    """
    client = scope.get("client")
    found = client[0] if client else ""
    if found in proxies:
        names = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        hops = b",".join(names).decode("latin-1").split(",") if names else []
        # From the right: what stands further left was written by whoever asked.
        for hop in reversed([hop.strip() for hop in hops]):
            found = hop
            if hop not in proxies:
                break
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Throttle:
    """Requests a minute, for each name by itself: the generic cell rate algorithm (ITU-T I.371).

    One number per name, of as many names as fit; who is forgotten begins with a full allowance.

    Args:
        per_minute: how many on average, and how many at once after a pause.
        clock: seconds that only ever grow.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._step = 60.0 / per_minute
        self._slack = 60.0 - self._step
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> float:
        """Count one request; how many seconds to wait if it is one too many, else 0."""
        now = self._clock()
        due = max(now, self._due.get(name, now))
        wait = due - now - self._slack
        if wait > 1e-9:
            return wait
        self._due[name] = due + self._step
        self._due.move_to_end(name)
        if len(self._due) > MAX_REMEMBERED:
            self._due.popitem(last=False)
        return 0.0


class Lockout:
    """Growing pauses after failures.

    A pause is for the name that failed: an address, or what was guessed at. It is never for the
    person whose name was used, or anybody could lock her out. So a caller whose credential has
    proven good is let through by whoever asks this, pause or no pause.

    Args:
        clock: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, name: str) -> None:
        """One more failure."""
        count, since = self._failures.pop(name, (0, 0.0))
        now = self._clock()
        if now - since > FORGIVEN_S:
            count = 0
        self._failures[name] = (count + 1, now)
        if len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def passed(self, name: str) -> None:
        """A success: what went before is forgiven."""
        self._failures.pop(name, None)

    def pause(self, name: str) -> float:
        """How many seconds are left to wait."""
        count, since = self._failures.get(name, (0, 0.0))
        if count <= FREE_FAILURES:
            return 0.0
        whole = min(2.0 ** (count - FREE_FAILURES - 1), LONGEST_PAUSE_S)
        return max(0.0, since + whole - self._clock())
