"""The resource types about records, put together: they share what callers were shown."""

from __future__ import annotations

from collections.abc import Callable

from ledger.api.fhir.binaries import Binaries
from ledger.api.fhir.documents import Documents
from ledger.api.fhir.offer import Offer
from ledger.api.fhir.provenances import Provenances
from ledger.api.fhir.shown import Memory
from ledger.api.fhir.sources import Sources
from ledger.api.service import NodeService
from ledger.chain.handover import Trust


def record_offers(
    service: NodeService, sources: Sources, trust: Callable[[], Trust]
) -> list[Offer]:
    """DocumentReference with ``$verify``, Binary and Provenance.

    ``trust``: what the genesis says.
    """
    documents = Documents(sources, Memory(), service.institution)
    provenances = Provenances(sources, documents, trust)
    return [
        documents.offer(*provenances.verify_operations()),
        Binaries(sources, documents).offer(),
        provenances.offer(),
    ]
