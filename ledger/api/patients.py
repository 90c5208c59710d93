"""What a patient sees of herself: her declarations, and what is under way about her key."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import reply
from ledger.api.patient_models import OverviewModel
from ledger.api.preparing import patient_of
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain.values import to_json

#: Contracts that know who speaks for somebody.
VOICES: Final = ("guardianship", "delegation")

Subject = Annotated[
    str, Query(pattern="^(p-[0-9a-f]{32})?$", description="one for whom the caller speaks")
]


async def may_speak(service: NodeService, person: str, subject: str) -> bool:
    """Whether a person speaks for a patient, herself included, as the contracts say now."""
    for contract in VOICES:
        said = await service.query(contract, "voice", {"subject": subject, "person": person})
        if said.ok and said.value["standing"] != "none":
            return bool(said.value["standing"] == "speaks")
    return person == subject


def router(service: NodeService) -> APIRouter:
    """The route that serves ``service``."""
    routes = APIRouter(prefix="/v1", tags=["patients"])

    async def value(contract: str, method: str, **arguments: Any) -> Any:
        found = await service.query(contract, method, arguments)
        if not found.ok:
            raise Problem(problems.QUERY_FAILED, found.error, error=found.error)
        return found.value

    @routes.get(
        "/patient",
        response_model=OverviewModel,
        summary="What a patient has declared",
        responses=failures(
            problems.UNAUTHORISED, problems.NOT_PERMITTED, problems.INVALID_PARAMETERS,
            problems.QUERY_FAILED,
        ),
    )  # fmt: skip
    async def patient(request: Request, subject: Subject = "") -> Response:
        """The consents in force of the patient who is signed in, or of one for whom she speaks."""
        caller = patient_of(request)
        whom = subject or caller.id
        if not await may_speak(service, caller.id, whom):
            raise Problem(problems.NOT_PERMITTED)
        pending = await value("enrolment", "pending", subject=whom)
        known = (await value("governance", "members"))["institutions"]
        return reply(
            {
                "network": service.network,
                "subject": whom,
                "consents": to_json(await value("consent", "active", subject=whom)),
                "recovery": _recovery(pending),
                "institutions": [
                    {name: each[name] for name in ("id", "name", "name_zh", "kind")}
                    for each in known
                    if each["status"] == "member"
                ],
            }
        )

    return routes


def _recovery(pending: dict[str, Any] | None) -> dict[str, Any] | None:
    if pending is None or pending["kind"] != "recovery":
        return None
    return {"institution": pending["institution"], "due": pending.get("due", 0)}
