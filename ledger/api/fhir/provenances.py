"""Provenance at ``/fhir``, and ``DocumentReference/$verify``.

Both hand out a document proof of the newest block, for records of which the caller may know.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from ledger.api.fhir.documents import Documents
from ledger.api.fhir.errors import FhirProblem, not_found
from ledger.api.fhir.offer import Caller, Offer, Operation, Page, Resource
from ledger.api.fhir.shown import Found
from ledger.api.fhir.sources import Sources
from ledger.api.fhir.standing import DESTROYED, document_of, prove, root_of, there
from ledger.chain.document import DocumentProof, dump_document, examine
from ledger.chain.handover import Trust
from ledger.fhir import elements, provenance, r5records
from ledger.fhir.outcome import Issue
from ledger.fhir.search import ID, Parameter, Query, references

#: Bytes of a record that ``$verify`` takes, and of the body around them in base64.
MAX_CONTENT: Final = 16 << 20
MAX_BODY: Final = 24 << 20
VERIFY: Final = "urn:health-ledger:OperationDefinition:verify"
#: Provenances that one search makes, each with a proof of its own.
MAX_TARGETS: Final = 50

TARGET: Final = Parameter(
    "target", "reference", "The document: DocumentReference/id",
    "http://hl7.org/fhir/SearchParameter/Provenance-target",
    lambda resource: references(resource["target"]), ("DocumentReference",),
)  # fmt: skip


class Provenances:
    """Handlers of Provenance and of ``$verify``.

    Args:
        trust: what the genesis says, with which every proof is checked before it is handed out.
    """

    def __init__(self, sources: Sources, documents: Documents, trust: Callable[[], Trust]) -> None:
        self._sources = sources
        self._documents = documents
        self._trust = trust

    def offer(self) -> Offer:
        return Offer(
            "Provenance",
            "Who anchored a document, signed with a proof that verifies offline",
            mandatory=("target", "recorded", "agent"),
            summary=("target", "recorded", "agent", "activity"),
            parameters=(ID, TARGET),
            read=self.read,
            search=self.search,
            to_r5=r5records.unchanged,
        )

    def verify_operations(self) -> tuple[Operation, Operation]:
        """``$verify`` on one document, and on the type with the document named in the body."""
        said = "Check bytes, anchoring, status and certificates, with a proof to repeat it offline"
        return (
            Operation("verify", VERIFY, said, "read", self.verify, get=True, body_limit=MAX_BODY),
            Operation(
                "verify", VERIFY, said, "read", self.verify, instance=False, body_limit=MAX_BODY
            ),
        )

    async def read(self, caller: Caller, name: str) -> Resource | None:
        found = await self._documents.find(caller, name)
        if found is None:
            return None
        there(caller.service, found)
        return await self._made(caller, found)

    async def search(self, caller: Caller, query: Query, place: Any) -> Page:
        names = {
            reference.removeprefix("DocumentReference/")
            for criterion in query.all(TARGET.name)
            for alternatives in criterion.values
            for reference in alternatives
        }
        names |= {code or "" for criterion in query.all(ID.name) for _, code in criterion.values}
        if not names:
            raise FhirProblem(400, Issue("required", "Name a target: DocumentReference/id"))
        matches = []
        for name in sorted(names)[:MAX_TARGETS]:
            found = await self._documents.find(caller, name)
            made = None if found is None else await self._made(caller, found)
            if made is not None and query.met_by(made):
                matches.append(made)
        start = place or 0
        end = start + query.count
        return Page(matches[start:end], end if end < len(matches) else None, len(matches))

    async def _made(self, caller: Caller, found: Found) -> Resource | None:
        document = document_of(caller.service, found)
        proof = await self._proof(caller, found)
        if document is None or proof is None or document.status == DESTROYED:
            return None
        return provenance.provenance(
            document, root_of(found.shown), dump_document(proof), proof.anchor.header.time
        )

    async def _proof(self, caller: Caller, found: Found) -> DocumentProof | None:
        return await asyncio.to_thread(prove, caller.service, found.shown)

    # --- $verify ---------------------------------------------------------------------------------

    async def verify(self, caller: Caller, name: str, sent: Resource | None) -> Resource:
        asked = _asked(sent)
        identity = name or asked.document
        if not identity:
            raise FhirProblem(400, Issue("required", "Name the document: parameter document"))
        found = await self._documents.find(caller, identity)
        proof = None if found is None else await self._proof(caller, found)
        if found is None or proof is None:
            raise not_found()
        content, salt = asked.content, asked.salt
        opening = await self._opening(caller, found)
        if opening is not None:
            salt = opening if salt is None else salt
            if content is None:
                content = await self._sources.content(found.name)
        # A study of many megabytes takes a while to hash.
        examination = await asyncio.to_thread(examine, proof, self._trust(), content, salt)
        return provenance.verification(examination, dump_document(proof))

    async def _opening(self, caller: Caller, found: Found) -> bytes | None:
        """The salt of an own record, for those who may know what it hides."""
        if not await self._documents.may_know(caller, found.shown.pointer.subject):
            return None
        opening = await self._sources.opening(found.name)
        return None if opening is None else opening.salt


class _Asked:
    """What is to be verified.

    ``document``: id of the DocumentReference. ``content``, ``salt``: where they were given.
    """

    def __init__(self) -> None:
        self.document = ""
        self.content: bytes | None = None
        self.salt: bytes | None = None


def _asked(sent: Resource | None) -> _Asked:
    """Read a Parameters, or a Binary, whose bytes are then to be checked."""
    asked = _Asked()
    if sent is None:
        return asked
    if sent.get("resourceType") == "Binary":
        asked.content = _bytes(sent.get("data", ""), "data")
        context = sent.get("securityContext")
        reference = context.get("reference") if isinstance(context, dict) else None
        asked.document = _document(reference)
        return asked
    parameters = sent.get("parameter", [])
    if sent.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        raise FhirProblem(400, Issue("invalid", "Send a Parameters or a Binary", "resourceType"))
    for item in parameters:
        name = item.get("name") if isinstance(item, dict) else None
        if name == "document":
            value = item.get("valueReference")
            reference = value.get("reference") if isinstance(value, dict) else item.get("valueId")
            asked.document = _document(reference)
        elif name == "content":
            inner = item.get("resource")
            data = inner.get("data", "") if isinstance(inner, dict) else None
            asked.content = _bytes(item.get("valueBase64Binary", data), "content")
        elif name == "salt":
            asked.salt = _bytes(item.get("valueBase64Binary"), "salt")
        else:
            text = "The parameters are document, content and salt"
            raise FhirProblem(400, Issue("not-supported", text, "Parameters.parameter.name"))
    return asked


def _document(reference: object) -> str:
    if not isinstance(reference, str):
        return ""
    plain = reference.removeprefix(elements.RECORD_URN)
    return plain.rpartition("DocumentReference/")[2]


def _bytes(value: object, name: str) -> bytes:
    wrong = FhirProblem(400, Issue("invalid", f"{name}: base64 of at most {MAX_CONTENT} bytes"))
    if not isinstance(value, str) or len(value) > MAX_CONTENT * 4 // 3 + 4:
        raise wrong
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (ValueError, binascii.Error):
        raise wrong from None
