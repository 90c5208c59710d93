"""The resource types about records, put together: they share what callers were shown."""

from __future__ import annotations

from ledger.api.fhir.binaries import Binaries
from ledger.api.fhir.documents import Documents
from ledger.api.fhir.offer import Offer
from ledger.api.fhir.provenances import Provenances
from ledger.api.fhir.shown import Memory
from ledger.api.fhir.sources import Sources
from ledger.api.service import NodeService


def record_offers(service: NodeService, sources: Sources) -> list[Offer]:
    """DocumentReference with ``$verify``, Binary and Provenance."""
    documents = Documents(sources, Memory(), service.institution)
    provenances = Provenances(sources, documents, lambda: service.trust)
    return [
        documents.offer(*provenances.verify_operations()),
        Binaries(sources, documents).offer(),
        provenances.offer(),
    ]
