"""``/fhir`` as a whole: every offered type, the CapabilityStatement, and what is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.api.fhir import openapi, requests
from ledger.api.fhir.answers import respond
from ledger.api.fhir.auditevents import AuditEvents
from ledger.api.fhir.consentoffer import consent_offer
from ledger.api.fhir.cursor import Cursors
from ledger.api.fhir.errors import PREFIX, FhirProblem
from ledger.api.fhir.negotiation import view_of
from ledger.api.fhir.nodesources import NodeSources
from ledger.api.fhir.offer import Offer
from ledger.api.fhir.records import record_offers
from ledger.api.fhir.routes import ResourceRoutes
from ledger.api.service import NodeService
from ledger.fhir.capability import statement
from ledger.fhir.outcome import Issue

_FULL_VERSION: Final = {"4.0": "4.0.1", "5.0": "5.0.0"}


def offers(service: NodeService) -> list[Offer]:
    """The resource types that a node offers."""
    return [
        consent_offer(service),
        *record_offers(service, NodeSources(service)),
        AuditEvents(service).offer(),
    ]


def router(
    offered: Sequence[Offer],
    service: NodeService,
    *,
    public_url: str | None = None,
    token_url: str = "",
) -> APIRouter:
    """All routes under ``/fhir``.

    ``public_url``: how this server is called from outside, scheme and host; without it, what the
    Host header of each request says. ``token_url``: where systems get a token, if they can.
    """

    def base(request: Request) -> str:
        root = public_url if public_url is not None else str(request.base_url)
        return root.rstrip("/") + PREFIX

    found = APIRouter()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    found.add_api_route(
        f"{PREFIX}/metadata", _metadata(offered, service, base, since, token_url), methods=["GET"],
        **openapi.metadata(),
    )  # fmt: skip
    by_type = {offer.type: offer for offer in offered}
    cursors = Cursors()
    for offer in offered:
        ResourceRoutes(offer, by_type, service, cursors, base).add_to(found)
    for path in (PREFIX, f"{PREFIX}/"):
        found.add_api_route(path, _no_batch, methods=["POST"], include_in_schema=False)
    return found


def _metadata(
    offered: Sequence[Offer],
    service: NodeService,
    base: Callable[[Request], str],
    since: str,
    token_url: str,
) -> Callable[[Request], Response]:
    def metadata(request: Request) -> Response:
        view = view_of(request, requests.url_pairs(request))
        url = base(request)
        found = statement(
            [offer.described() for offer in offered
             if view.version == "4.0" or offer.to_r5 is not None],
            base=url,
            software=version("health-ledger"),
            name=f"Node {service.node} of {service.network}",
            date=since,
            version=_FULL_VERSION[view.version],
            token=token_url,
        )  # fmt: skip
        return respond(found, {}, view)

    return metadata


def _no_batch(request: Request) -> Response:
    text = "Batches and transactions are not taken; send each resource by itself"
    raise FhirProblem(405, Issue("not-supported", text), headers={"Allow": "GET"})
