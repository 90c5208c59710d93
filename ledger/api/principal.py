"""Who is calling: what sign-in has established, and what every route may rely on.

Sign-in (`ledger.api.signin`) turns a credential into a `Principal` and puts it into the ASGI scope
under `SCOPE_KEY`; routes take it from there with `principal_of`. The principal is the outer fence:
who may see what for which purpose is decided by the contracts on the chain, never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from fastapi import Request

from ledger.api import problems
from ledger.api.problems import Problem

SCOPE_KEY: Final = "ledger.principal"


class Kind(StrEnum):
    """What sort of caller: a patient or one who speaks for one, a member of staff, a system of an
    institution (SMART Backend Services), or an operator of this node."""

    PATIENT = "patient"
    STAFF = "staff"
    SYSTEM = "system"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who has signed in.

    ``id``: the registry's id of a person (for a patient the pseudonym), the client id of a system,
    the name of an operator. ``institution``: for which the caller acts; empty for patients.
    ``roles``: as the registry certifies them for that institution. ``scopes``: granted SMART v2
    scopes, verbatim; empty grants nothing on ``/fhir``. ``session``: what the audit calls this
    sign-in; never a secret. ``method``: how it was done (``oidc``, ``backend``, ``passkey``,
    ``token``, ``development``).
    """

    kind: Kind
    id: str
    institution: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    session: str
    method: str


def principal_of(request: Request) -> Principal:
    """The caller of a request; a `Problem` 401 where nobody has signed in."""
    found = request.scope.get(SCOPE_KEY)
    if not isinstance(found, Principal):
        raise Problem(problems.UNAUTHORISED, "sign in first")
    return found


#: On which level of SMART scopes each kind of caller acts; an operator on none.
LEVELS: Final[dict[Kind, Literal["patient", "user", "system"]]] = {
    Kind.PATIENT: "patient",
    Kind.STAFF: "user",
    Kind.SYSTEM: "system",
}
