"""Which kinds of callers may come near which paths at all.

The table is the outermost fence. A route may refuse more, and the contracts have the last word.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from ledger.api.principal import Kind, Principal

PEOPLE: Final = frozenset({Kind.PATIENT, Kind.STAFF, Kind.SYSTEM})
#: Members of staff whose work is the consortium itself. The chain in the raw tells which
#: institution asked about which pseudonym, so it is not for everybody who has signed in.
OVERSEERS: Final = frozenset({"governor", "auditor", "records-officer", "supervisor"})


class Area(NamedTuple):
    """Everything under one of ``prefixes``, and at it unless it ends in a slash.

    ``open``: also for those who have not signed in. ``kinds``: who else. ``staff``: of the staff
    only those with one of these roles, if any are named. ``operators``: operators with one of these
    roles.
    """

    prefixes: tuple[str, ...]
    open: bool = False
    kinds: Collection[Kind] = ()
    staff: Collection[str] = ()
    operators: Collection[str] = ()

    def admits(self, principal: Principal) -> bool:
        """Whether a caller may come in."""
        if self.open:
            return True
        if principal.kind is Kind.OPERATOR:
            return not set(self.operators).isdisjoint(principal.roles)
        if principal.kind not in self.kinds:
            return False
        fenced = principal.kind is Kind.STAFF and self.staff
        return not fenced or not set(self.staff).isdisjoint(principal.roles)


_ANYBODY: Final = ("monitor", "records", "security")

#: The first area with a fitting prefix counts.
AREAS: Final = (
    # What people ask of a holder is signed by them.
    Area(("/v1/records/",), open=True),
    Area(("/v1/signins",), kinds=(Kind.STAFF,), staff=("auditor",), operators=("security",)),
    Area(("/v1/sessions",), operators=("security",)),
    Area(("/v1/status",), kinds=PEOPLE, operators=_ANYBODY),
    # Events are cut to what the caller may hear.
    Area(("/v1/transactions", "/v1/receipts", "/v1/events"), kinds=PEOPLE,
         operators=("records",)),
    Area(("/v1/pseudonyms",), kinds=(Kind.STAFF, Kind.SYSTEM), operators=("records",)),
    Area(("/v1/erasures", "/v1/disputes"), kinds=(Kind.STAFF,), staff=("records-officer",),
         operators=("records",)),
    Area(("/v1/cases",), kinds=PEOPLE, operators=("records",)),
    Area(("/v1/webhooks",), kinds=(Kind.SYSTEM,), operators=("records",)),
    Area(("/v1/blocks",), kinds=(Kind.STAFF,), staff=OVERSEERS, operators=("monitor", "records")),
    Area(("/v1/state", "/v1/query"), kinds=(Kind.STAFF,), staff=OVERSEERS,
         operators=("records",)),
    Area(("/v1/pseudonyms",), kinds=(Kind.STAFF, Kind.SYSTEM), operators=("records",)),
    Area(("/v1/webhooks",), kinds=(Kind.SYSTEM,), operators=("records",)),
    Area(("/fhir/metadata", "/fhir/.well-known"), open=True),
    # Everything else of the interface is for the node's users and looks at them itself.
    Area(("/v1", "/fhir"), kinds=PEOPLE),
    # Pages, metadata, probes, and signing in.
    Area(("",), open=True),
)  # fmt: skip


def area_of(path: str) -> Area:
    """The area that a path lies in."""
    for area in AREAS:
        for prefix in area.prefixes:
            below = prefix if prefix.endswith("/") or not prefix else prefix + "/"
            if path == prefix or path.startswith(below):
                return area
    raise AssertionError("the last area has everything")


def needs_credential(path: str) -> bool:
    """Whether a path is for those only who have signed in, where anybody has to."""
    return not area_of(path).open
