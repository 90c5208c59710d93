"""Development mode: nobody signs in, and a header says who calls.

For trying things out on one machine. The node refuses to listen on anything but loopback with it,
and every answer carries ``X-Health-Ledger-Mode: development``.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers

from ledger.api.principal import Kind, Principal
from ledger.api.signin.refusal import Refused, Why
from ledger.api.signin.standing import Standing

PERSON_HEADER: Final = "x-development-person"
INSTITUTION_HEADER: Final = "x-development-institution"


def believed(headers: Headers, standing: Standing) -> Principal | None:
    """Who a request says that it is from; None where it does not say.

    Raises:
        Refused: the registry knows nobody of that id, or not at that institution.
    """
    person = headers.get(PERSON_HEADER)
    if person is None:
        return None
    if standing.is_patient(person):
        scopes = ("patient/*.cruds",)
        return Principal(Kind.PATIENT, person, "", ("patient",), scopes, "dev", "development")
    institution = headers.get(INSTITUTION_HEADER) or standing.home(person)
    if institution is None:
        raise Refused(Why.UNKNOWN_PERSON, person)
    roles = standing.roles(person, institution)
    scopes = ("user/*.cruds",)
    return Principal(Kind.STAFF, person, institution, roles, scopes, "dev", "development")
