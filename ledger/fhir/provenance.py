"""Where an anchored record comes from, as FHIR R4 Provenance with a signature that proves it.

The signature is not a JWS. A JWS would say that whoever serves the resource holds a key; what a
receiver wants to know is that the holder anchored this very record, and that a quorum of the
consortium has it on the chain. That is what a document proof (`ledger.chain.document`) shows, and
`health-ledger audit verify --document` checks it offline, so the signature's data is one, and
``sigFormat`` names its format.
"""

from __future__ import annotations

import base64
from typing import Final

from ledger.chain import document as proofs
from ledger.fhir import elements
from ledger.fhir.disputes import dispute_extension
from ledger.fhir.documents import Document, last_change, media_of
from ledger.fhir.elements import TERMINOLOGY, Element, coding, concept, present

SIGNATURE_TYPE: Final = coding(
    "urn:iso-astm:E1762-95:2013", "1.2.840.10065.1.12.1.5", "Verification Signature"
)
_CREATE: Final = concept(coding(TERMINOLOGY + "v3-DataOperation", "CREATE", "create"))
_CUSTODIAN: Final = concept(
    coding(TERMINOLOGY + "provenance-participant-type", "custodian", "Custodian")
)


def provenance(document: Document, root: bytes, proof: bytes, proven: int) -> Element:
    """The Provenance of a record; its id is that of the DocumentReference.

    Args:
        root: of the batch in which it was anchored, or empty for one anchored alone.
        proof: a document proof file.
        proven: block time of the statements in it, milliseconds since 1970 UTC.
    """
    holder = elements.institution(document.pointer.holder)
    batch = elements.identifier(elements.BATCH_SYSTEM, root.hex()) if root else None
    return present(
        {
            "resourceType": "Provenance",
            "id": document.id,
            "meta": {"lastUpdated": elements.instant(last_change(document))},
            "extension": [dispute_extension(dispute) for dispute in document.disputes],
            "target": [
                {
                    "reference": f"DocumentReference/{document.id}",
                    "identifier": elements.identifier(
                        elements.URI_SYSTEM, elements.record_urn(document.name)
                    ),
                }
            ],
            "recorded": elements.instant(document.anchored),
            "activity": _CREATE,
            "agent": [{"type": _CUSTODIAN, "who": holder}],
            "entity": [{"role": "source", "what": {"identifier": batch}}] if batch else [],
            "signature": [
                {
                    "type": [SIGNATURE_TYPE],
                    "when": elements.instant(proven),
                    "who": holder,
                    "targetFormat": media_of(document.pointer),
                    "sigFormat": proofs.MEDIA_TYPE,
                    "data": base64.b64encode(proof).decode("ascii"),
                }
            ],
        }
    )


def verification(examination: proofs.Examination, proof: bytes) -> Element:
    """What ``$verify`` answers: each step, and the proof with which anybody can repeat it.

    ``result`` is false where a step is bad. A step that could not be taken does not make it false;
    it is listed as ``unchecked`` with the reason.
    """
    found: list[Element] = [{"name": "result", "valueBoolean": examination.good}]
    for step in examination.steps:
        said = [
            {"name": "name", "valueCode": step.name},
            {"name": "verdict", "valueCode": step.verdict.value},
            {"name": "detail", "valueString": step.detail},
        ]
        found.append({"name": "step", "part": said})
    if examination.status:
        found.append({"name": "status", "valueCode": examination.status})
    if examination.anchored:
        found.append({"name": "anchored", "valueInstant": elements.instant(examination.anchored)})
    if examination.height:
        found.append({"name": "height", "valueInteger": examination.height})
        found.append({"name": "time", "valueInstant": elements.instant(examination.time)})
    proof_resource = {
        "resourceType": "Binary",
        "contentType": proofs.MEDIA_TYPE,
        "data": base64.b64encode(proof).decode("ascii"),
    }
    if proof:
        found.append({"name": "proof", "resource": proof_resource})
    return {"resourceType": "Parameters", "parameter": found}
