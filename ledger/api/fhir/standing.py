"""What the chain says about a pointer that was shown: whether it counts, since when, and which
disputes stand beside it."""

from __future__ import annotations

from typing import Any, Final

from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.shown import Found
from ledger.api.service import NodeService
from ledger.chain import document as proofs
from ledger.chain import merkle
from ledger.chain.codec import decode_value
from ledger.chain.document import DocumentProof, anchor_key, mark_key, status_of
from ledger.chain.exchange import Shown
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.pointer import Pointer
from ledger.chain.statement import Statement
from ledger.fhir.disputes import Dispute
from ledger.fhir.documents import Document
from ledger.fhir.outcome import Issue

DESTROYED: Final = "destroyed"


def there(service: NodeService, found: Found) -> Document | None:
    """`document_of` for who reads one: a `FhirProblem` 410 for a record that was destroyed."""
    document = document_of(service, found)
    if document is not None and document.status == DESTROYED:
        raise FhirProblem(410, Issue("deleted", "Destroyed at the patient's request"))
    return document


def document_of(service: NodeService, found: Found) -> Document | None:
    """A pointer with its status of the newest block and what stands beside it; None for one that is
    not anchored. What was destroyed has the status `DESTROYED`, and is no resource any more."""
    pointer, root = found.shown.pointer, root_of(found.shown)
    anchor = _entry(service, anchor_key(pointer, root))
    if anchor is None or (root and anchor["size"] != found.shown.proof["size"]):
        return None
    mark = _entry(service, mark_key(pointer))
    status = "anchored" if mark is None else status_of(mark)
    by = mark["closed"] if mark is not None and status in ("restricted", DESTROYED) else mark
    return Document(
        pointer,
        status,
        anchored=anchor["time"],
        changed=anchor["time"] if by is None else by["time"],
        type=found.type,
        labels=found.labels,
        sha1=found.sha1,
        disputes=_beside(service, pointer),
    )


def _beside(service: NodeService, pointer: Pointer) -> tuple[Dispute, ...]:
    """The disputes that `corrections.beside` gives, read from the state as the mark is: a search
    looks at thousands of records. A chain that has no such contract has none."""
    standing = _value(
        service, f"corrections/standing/{pointer.holder}/{pointer.name().hex()}".encode()
    )
    found = []
    for id_ in standing or ():
        case = _entry(service, f"corrections/disputes/{id_}".encode())
        # Between the two looks it may have been withdrawn.
        if case is None or case["status"] not in ("open", "refused"):
            continue
        answer = case.get("answer") or {"time": 0, "statement": b""}
        found.append(
            Dispute(
                id_, case["status"], case["reason"], case["time"], case["due"], case["statement"],
                answer["time"], answer["statement"],
            )
        )  # fmt: skip
    return tuple(found)


def root_of(shown: Shown) -> bytes:
    """The root to which the proof of a pointer leads; empty for one anchored alone. A proof that
    leads nowhere gives a root under which nothing is anchored."""
    proof = shown.proof
    if not proof:
        return b""
    leaf = shown.pointer.name()
    root = merkle.root_from_inclusion(leaf, proof["index"], proof["size"], proof["path"])
    return root or b"\x00"


def prove(service: NodeService, shown: Shown) -> DocumentProof | None:
    """A document proof of the newest block; None while only the genesis is there."""
    height = service.head().height
    pointer, proof = shown.pointer, shown.proof
    anchor = _statement(service, anchor_key(pointer, root_of(shown)), height)
    mark = _statement(service, mark_key(pointer), height)
    if anchor is None or mark is None:
        return None
    return proofs.DocumentProof(
        pointer.leaf(),
        proof["index"] if proof else 0,
        proof["size"] if proof else 0,
        tuple(proof["path"]) if proof else (),
        anchor,
        mark,
    )


def _statement(service: NodeService, key: bytes, height: int) -> Statement | None:
    header, certificate, proof, value = service.state_proof(key, height)
    if certificate is None:
        return None
    return Statement(key, value, header, certificate, proof, service.handovers(height))


def _entry(service: NodeService, key: bytes) -> dict[str, Any] | None:
    value = _value(service, key)
    return value if isinstance(value, dict) else None


def _value(service: NodeService, key: bytes) -> Any:
    raw = service.state(key)
    return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)
