"""What the chain says about a pointer that was shown: whether it counts, and since when."""

from __future__ import annotations

from typing import Any

from ledger.api.fhir.shown import Found
from ledger.api.service import NodeService
from ledger.chain import document as proofs
from ledger.chain import merkle
from ledger.chain.codec import decode_value
from ledger.chain.document import DocumentProof, anchor_key, mark_key
from ledger.chain.exchange import Shown
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.statement import Statement
from ledger.fhir.documents import Document


def document_of(service: NodeService, found: Found) -> Document | None:
    """A pointer with its status of the newest block; None for one that is not anchored."""
    pointer, root = found.shown.pointer, root_of(found.shown)
    anchor = _entry(service, anchor_key(pointer, root))
    if anchor is None or (root and anchor["size"] != found.shown.proof["size"]):
        return None
    mark = _entry(service, mark_key(pointer))
    return Document(
        pointer,
        "anchored" if mark is None else mark["status"],
        anchored=anchor["time"],
        changed=anchor["time"] if mark is None else mark["time"],
        type=found.type,
        labels=found.labels,
        sha1=found.sha1,
    )


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
    raw = service.state(key)
    if raw is None:
        return None
    value: Any = decode_value(raw, limit=MAX_STATE_VALUE_BYTES)
    return value if isinstance(value, dict) else None
