"""What a node takes from the world around it: the time, chance, and its links to other nodes.

Everything else that a node does follows from its home, its store and the frames that arrive. The
default is the real world; the simulator passes in one of its own. Durations are not here: they
come from the running event loop's clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.node.clock import Breath, now_ms
from ledger.node.net.links import Links, Station, tls_links
from ledger.node.signing.watermark import FileTimes, KernelTimes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world as one node meets it.

    ``clock``: milliseconds since 1970-01-01 UTC, as this node believes. ``entropy``: so many random
    bytes, for nonces and salts. ``links``: the connections to other nodes. ``keeps_records``: off
    for a node that has no records to hand out; it then opens no vault. ``file_times``: when files
    were changed, by which a copied watermark is known. ``breath``: makes what long work in the
    background calls now and then, so that others have their turn.
    """

    clock: Callable[[], int] = now_ms
    entropy: Callable[[int], bytes] = secrets.token_bytes
    links: Callable[[Station], Links] = tls_links
    keeps_records: bool = True
    breath: Callable[[], Callable[[], None]] = Breath
    file_times: FileTimes = field(default_factory=KernelTimes)


REAL = Surroundings()
