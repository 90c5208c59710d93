"""Record pointers as FHIR R4 DocumentReference, in the shape of IHE MHD (ITI-67, ITI-68).

What a pointer hides stays hidden: the exact type and the sensitivity labels are in the resource
only where the caller was shown their openings. ``attachment.hash`` is by definition a plain SHA-1
of the bytes (R4 2.24.0.6), which the ledger does not know and would not publish: a plain hash of a
short record can be guessed. It is there only where the bytes are at hand. The salted SHA-256 to
which the chain commits is an extension of the attachment.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.pointer import Pointer
from ledger.fhir import elements, times
from ledger.fhir.disputes import Dispute, dispute_extension, erasure_extension
from ledger.fhir.elements import EXTENSION, LOINC, MAX_UNSIGNED, Element, coding, concept, present
from ledger.fhir.labels import ACT_CODE_SYSTEM, CONFIDENTIALITY_SYSTEM

MINIMAL_PROFILE: Final = (
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference"
)
DIGEST_EXTENSION: Final = EXTENSION + "salted-sha-256"
SIZE_EXTENSION: Final = EXTENSION + "size"
UNKNOWN_MEDIA: Final = "application/octet-stream"

#: The status of `records.find` → DocumentReference.status. What is not anchored is no document, nor
#: is what was destroyed. A request to destroy a record makes it neither older nor wrong.
STATUS: Final = {
    "anchored": "current",
    "restricted": "current",
    "superseded": "superseded",
    "entered-in-error": "entered-in-error",
}

#: Coarse classes that LOINC has a document class for (R4 value set document-classcodes). The others
#: have our code alone: a class that is nearly right would be believed.
_LOINC_CLASS: Final = {
    "laboratory": ("26436-6", "Laboratory Studies (set)"),
    "imaging": ("18726-0", "Radiology studies (set)"),
    "ecg": ("26441-6", "Cardiology studies (set)"),
    "pathology": ("27898-6", "Pathology studies (set)"),
    "referral": ("57133-1", "Referral note"),
    "immunization": ("11369-6", "History of Immunization"),
    "procedure": ("28570-0", "Provider-unspecified procedure note"),
    "careplan": ("56447-6", "Plan of care note"),
}
_CONFIDENTIALITY: Final = {"N": "normal", "R": "restricted", "V": "very restricted"}

#: RFC 6838 type and subtype, then parameters; anything else in a pointer is no media type.
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
_MEDIA: Final = re.compile(rf"{_NAME}/{_NAME}(?:; ?{_NAME}=(?:[A-Za-z0-9!#$&^_.+-]+))*")


@dataclass(frozen=True, slots=True)
class Document:
    """What a caller was shown of one record.

    ``pointer``: the pointer. ``status``: as `records.find` gives it. ``anchored``, ``changed``:
    block times in milliseconds, of the anchoring and of the last change of the status. ``type``:
    the exact type as ``system|code`` where it was opened, else empty. ``labels``: the sensitivity
    codes where they were opened. ``sha1``: of the bytes, where they are at hand. ``created``: when
    the holder made the record, milliseconds, where that is known. ``disputes``: those that stand
    beside it, oldest first.
    """

    pointer: Pointer
    status: str
    anchored: int
    changed: int
    type: str = ""
    labels: tuple[str, ...] = ()
    sha1: bytes = b""
    created: int | None = None
    disputes: tuple[Dispute, ...] = ()

    @property
    def name(self) -> bytes:
        return self.pointer.name()

    @property
    def id(self) -> str:
        return elements.document_id(self.name)


def category_of(kind: str) -> Element:
    """The coarse class of a record as a CodeableConcept."""
    own = coding(elements.RECORD_CLASS_SYSTEM, kind)
    known = _LOINC_CLASS.get(kind)
    return concept(own, coding(LOINC, *known)) if known else concept(own)


def media_of(pointer: Pointer) -> str:
    """The media type to answer with; of what is none, that nothing is known of the bytes."""
    return pointer.media if _MEDIA.fullmatch(pointer.media) else UNKNOWN_MEDIA


def document_reference(document: Document, base: str) -> Element:
    """The DocumentReference of a record; total for every pointer that the chain takes.

    Args:
        base: URL of the FHIR interface, without a slash at the end, under which ``Binary`` is read.
    """
    pointer = document.pointer
    return present(
        {
            "resourceType": "DocumentReference",
            "id": document.id,
            "meta": present(
                {
                    "lastUpdated": elements.instant(last_change(document)),
                    "profile": _profiles(document),
                }
            ),
            "extension": _beside(document),
            "masterIdentifier": {
                "use": "usual",
                "system": elements.URI_SYSTEM,
                "value": elements.record_urn(document.name),
            },
            "status": STATUS[document.status],
            "type": _type(document.type),
            "category": [category_of(pointer.kind)],
            "subject": elements.patient(pointer.subject),
            "date": elements.instant(document.anchored),
            "custodian": elements.institution(pointer.holder),
            "relatesTo": _replaced(pointer.replaces),
            "securityLabel": _labels(pointer.confidentiality, document.labels),
            "content": [{"attachment": _attachment(document, base)}],
            "context": present({"period": _period(pointer.start, pointer.end)}),
        }
    )


def last_change(document: Document) -> int:
    """When the status of a record, or a dispute beside it, changed last; milliseconds."""
    return max(document.changed, *(dispute.changed for dispute in document.disputes), 0)


def _profiles(document: Document) -> list[str]:
    # MHD leaves out entered-in-error: XDS has no such status. And it wants a URL to fetch from.
    return [MINIMAL_PROFILE] if document.status not in ("entered-in-error", "restricted") else []


def _beside(document: Document) -> list[Element]:
    erasure = [erasure_extension(document.changed)] if document.status == "restricted" else []
    return [*erasure, *map(dispute_extension, document.disputes)]


def _type(text: str) -> Element | None:
    system, _, code = text.rpartition("|")
    return concept(present({"system": system, "code": code})) if code else None


def _replaced(name: bytes) -> list[Element]:
    if not name:
        return []
    target = {
        "reference": f"DocumentReference/{elements.document_id(name)}",
        "identifier": elements.identifier(elements.URI_SYSTEM, elements.record_urn(name)),
    }
    return [{"code": "replaces", "target": target}]


def _labels(confidentiality: str, sensitivities: tuple[str, ...]) -> list[Element]:
    level = coding(CONFIDENTIALITY_SYSTEM, confidentiality, _CONFIDENTIALITY[confidentiality])
    return [concept(level), *(concept(coding(ACT_CODE_SYSTEM, code)) for code in sensitivities)]


def _attachment(document: Document, base: str) -> Element:
    pointer = document.pointer
    digest = {"url": DIGEST_EXTENSION, "valueBase64Binary": _base64(pointer.digest)}
    fits = pointer.size <= MAX_UNSIGNED
    # R4 counts to 2 GiB; R5 has integer64 for it.
    size = [] if fits else [{"url": SIZE_EXTENSION, "valueString": str(pointer.size)}]
    created = None if document.created is None else elements.instant_or_none(document.created)
    return present(
        {
            "extension": [digest, *size],
            "contentType": media_of(pointer),
            # What is to be destroyed is not offered any more; whom a legal duty obliges the holder
            # to serve asks by the record's name.
            "url": f"{base}/Binary/{document.id}" if document.status != "restricted" else None,
            "size": pointer.size if fits else None,
            "hash": _base64(document.sha1),
            "creation": created,
        }
    )


def _period(start: int, end: int) -> Element:
    if (start, end) == (0, 0):
        return {}
    last = elements.instant_or_none(end) if end != times.OPEN_END else None
    return present({"start": elements.instant_or_none(start), "end": last})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def binary(document: Document, content: bytes) -> Element:
    """A Binary resource with the exact bytes of a record.

    ``securityContext`` names the DocumentReference whose rules the bytes are under (R4 2.27.3).
    """
    resource: dict[str, Any] = {
        "resourceType": "Binary",
        "id": document.id,
        "meta": {"lastUpdated": elements.instant(document.changed)},
        "contentType": media_of(document.pointer),
        "securityContext": {"reference": f"DocumentReference/{document.id}"},
    }
    return resource | present({"data": _base64(content)})
