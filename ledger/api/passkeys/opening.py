"""The passkey desk of a node, from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.api.passkeys.challenges import Challenges
from ledger.api.passkeys.codes import Codes
from ledger.api.passkeys.party import RelyingParty
from ledger.api.passkeys.routes import ADDRESS_RATE, SUBJECT_RATE, Desk
from ledger.api.signin.signin import SignIn
from ledger.api.signin.throttle import Throttle
from ledger.node.setup.passkeys import PasskeysSection

CODES_FILE: Final = "enrolment-codes.json"


def open_desk(
    settings: PasskeysSection,
    directory: Path,
    signin: SignIn,
    *,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> Desk:
    """What the routes of passkeys need.

    Args:
        settings: ``[passkeys]`` of the node.
        directory: ``signin`` of the node's home; the codes are in it.
        signin: begins sessions.
        now: seconds since 1970-01-01 UTC.
        clock: seconds that only ever grow.

    Raises:
        CodesUnusable: the file of codes cannot be read.
    """
    rp_id, origins = settings.party(signin.url)
    return Desk(
        RelyingParty(rp_id, origins, settings.name),
        signin,
        Codes(directory / CODES_FILE, lambda: int(now() * 1000)),
        Challenges(clock),
        Throttle(ADDRESS_RATE, clock),
        Throttle(SUBJECT_RATE, clock),
    )
