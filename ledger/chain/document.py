"""Document proofs: that a record is anchored and what its status is, provable without any node.

A document proof holds the pointer of one record, its place in an anchored batch, and two statements
about the state after one block: the entry of the batch, and the entry (or its absence) that marks
the record as superseded or in error. Whoever has the genesis checks it offline; whoever has the
record and its salt as well learns that these are the bytes that were anchored.

`examine` goes through all steps and says what came of each, because a receiver wants to know which
one failed: an altered scan is another matter than a forged certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from ledger.chain import limits, merkle
from ledger.chain.codec import Malformed, Record, decode, decode_value, encode
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.pointer import Pointer, pointer_from_value, record_digest
from ledger.chain.statement import Proven, Statement, verify_statement
from ledger.chain.values import decode_base64, encode_base64
from ledger.crypto.hashing import same

FORMAT: Final = "health-ledger-document-1"
#: Media type under which a document proof is carried elsewhere, such as in a FHIR Signature.
MEDIA_TYPE: Final = "application/vnd.health-ledger.document-proof+json"
MAX_BYTES: Final = 2 * limits.MAX_RECEIPT_BYTES
#: A batch has at most 2**24 pointers.
MAX_PATH: Final = 24
_LEAF_LIMIT: Final = 4096


class DocumentProof(Record, frozen=True, array_like=True):
    """Why a record counts.

    ``leaf``: the encoded pointer. ``index``, ``size``, ``path``: its place in the batch (RFC 9162);
    all empty for a record anchored alone. ``anchor``: of the entry that anchors it. ``mark``: of
    the entry that would mark it.
    """

    leaf: bytes
    index: int
    size: int
    path: tuple[bytes, ...]
    anchor: Statement
    mark: Statement


class Verdict(StrEnum):
    """What came of a step."""

    GOOD = "good"
    BAD = "bad"
    UNCHECKED = "unchecked"


class Step(NamedTuple):
    """One step of a verification, with a sentence for people."""

    name: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Examination:
    """All steps in order, and what is proven if none is bad.

    ``pointer``: None where there is none to be read. ``status``: ``anchored``, ``superseded``,
    ``entered-in-error``, or empty while it is not proven. ``anchored``: block time of the anchoring
    and ``time`` that of the statements, milliseconds since 1970 UTC; ``height`` of the statements.
    """

    steps: tuple[Step, ...]
    pointer: Pointer | None = None
    status: str = ""
    anchored: int = 0
    height: int = 0
    time: int = 0

    @property
    def good(self) -> bool:
        """Nothing is bad. What could not be checked is not bad."""
        return all(step.verdict is not Verdict.BAD for step in self.steps)


def anchor_key(pointer: Pointer, root: bytes) -> bytes:
    """The state key under which a record is anchored; ``root`` is empty for one anchored alone."""
    if root:
        return f"records/batches/{pointer.holder}/{root.hex()}".encode()
    return f"records/single/{pointer.name().hex()}".encode()


def mark_key(pointer: Pointer) -> bytes:
    """The state key under which a record's holder would mark it."""
    return f"records/marks/{pointer.holder}/{pointer.name().hex()}".encode()


def examine(proof: DocumentProof, trust: Trust, content: bytes | None = None,
            salt: bytes | None = None) -> Examination:  # fmt: skip
    """Check a document proof with nothing but the genesis; a pure function.

    Args:
        proof: from anybody.
        trust: what the genesis says.
        content: the record's bytes, where they are to be checked too.
        salt: the record's digest salt; without it bytes cannot be compared.
    """
    try:
        pointer = pointer_from_value(decode_value(proof.leaf, limit=_LEAF_LIMIT))
    except Malformed as error:
        return Examination((Step("pointer", Verdict.BAD, str(error)),))
    found, root = _included(proof, pointer)
    steps = [_compared(pointer, content, salt), found]
    certified, anchor, mark = _certified(proof, trust)
    steps.append(certified)
    if anchor is None or mark is None:
        steps.append(Step("anchoring", Verdict.UNCHECKED, "rests on the certificate"))
        steps.append(Step("status", Verdict.UNCHECKED, "rests on the certificate"))
        return Examination(tuple(steps), pointer)
    steps.append(_anchored(proof, pointer, root, anchor))
    step, status = _status(pointer, mark)
    steps.append(step)
    entry: Any = anchor.value
    since = entry["time"] if steps[3].verdict is Verdict.GOOD else 0
    header = anchor.header
    return Examination(tuple(steps), pointer, status, since, header.height, header.time)


def _compared(pointer: Pointer, content: bytes | None, salt: bytes | None) -> Step:
    if content is None:
        return Step("content", Verdict.UNCHECKED, "no bytes were given")
    if len(content) != pointer.size:
        detail = f"{len(content)} bytes, the pointer says {pointer.size}"
        return Step("content", Verdict.BAD, detail)
    if salt is None:
        return Step("content", Verdict.UNCHECKED, "without the record's salt nothing is comparable")
    if not same(record_digest(salt, content), pointer.digest):
        return Step("content", Verdict.BAD, "not the bytes to which the pointer commits")
    return Step("content", Verdict.GOOD, "the bytes to which the pointer commits")


def _included(proof: DocumentProof, pointer: Pointer) -> tuple[Step, bytes]:
    """Whether the pointer is where the proof says, and the root to which that leads."""
    if proof.size == 0:
        alone = (proof.index, proof.path) == (0, ())
        verdict = Verdict.GOOD if alone else Verdict.BAD
        return Step("inclusion", verdict, "anchored alone" if alone else "a path to nowhere"), b""
    root = None
    if len(proof.path) <= MAX_PATH:
        root = merkle.root_from_inclusion(pointer.name(), proof.index, proof.size, proof.path)
    if root is None:
        return Step("inclusion", Verdict.BAD, "the path leads from no such place"), b"-"
    detail = f"pointer {proof.index} of a batch of {proof.size}"
    return Step("inclusion", Verdict.GOOD, detail), root


def _certified(proof: DocumentProof, trust: Trust) -> tuple[Step, Proven | None, Proven | None]:
    try:
        anchor, mark = verify_statement(proof.anchor, trust), verify_statement(proof.mark, trust)
    except InvalidProof as error:
        return Step("certificate", Verdict.BAD, str(error)), None, None
    if anchor.header.hash() != mark.header.hash():
        detail = "the two statements are about different blocks"
        return Step("certificate", Verdict.BAD, detail), None, None
    names = ", ".join(member.node for member in anchor.validators.members)
    detail = f"block {anchor.header.height}, certified by a quorum of {names}"
    return Step("certificate", Verdict.GOOD, detail), anchor, mark


def _anchored(proof: DocumentProof, pointer: Pointer, root: bytes, anchor: Proven) -> Step:
    entry: Any = anchor.value
    if anchor.key != anchor_key(pointer, root):
        return Step("anchoring", Verdict.BAD, "the statement is about another entry")
    if not anchor.present:
        return Step("anchoring", Verdict.BAD, "the record is not anchored")
    known = isinstance(entry, dict) and isinstance(entry.get("time"), int)
    if not known or (proof.size and entry.get("size") != proof.size):
        return Step("anchoring", Verdict.BAD, "the batch has another size")
    detail = f"anchored by {pointer.holder} in block {entry.get('height')}"
    return Step("anchoring", Verdict.GOOD, detail)


def _status(pointer: Pointer, mark: Proven) -> tuple[Step, str]:
    if mark.key != mark_key(pointer):
        return Step("status", Verdict.BAD, "the statement is about another entry"), ""
    if not mark.present:
        return Step("status", Verdict.GOOD, "nothing marks the record"), "anchored"
    status = status_of(mark.value)
    if not status:
        return Step("status", Verdict.BAD, "a mark of an unknown kind"), ""
    return Step("status", Verdict.GOOD, f"marked as {status}"), status


def status_of(mark: Any) -> str:
    """The status that `records.find` gives a record with this mark; empty for what is no mark.

    A request to destroy a record closes it, which its mark keeps beside the holder's own words:
    those prevail until the record is gone. Once it was taken back, the mark says ``anchored``.
    """
    if not isinstance(mark, dict):
        return ""
    status = mark.get("status")
    if status not in ("anchored", "superseded", "entered-in-error"):
        return ""
    closed = mark.get("closed")
    how = closed.get("how") if isinstance(closed, dict) else None
    if closed is not None and how not in ("restricted", "destroyed"):
        return ""
    return str(how) if how == "destroyed" or (how and status == "anchored") else str(status)


# --- files -------------------------------------------------------------------------------------


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON envelope: the record's name in hex, the canonical bytes in base64."""

    format: str
    record: str
    proof: str


def dump_document(proof: DocumentProof) -> bytes:
    """The proof as a JSON file that names its record."""
    name = merkle.leaf_hash(proof.leaf).hex()
    return msgspec.json.encode(_File(FORMAT, name, encode_base64(encode(proof))))


def load_document(raw: bytes) -> DocumentProof:
    """Read a proof file; raises `Malformed`. Says nothing about whether it is good."""
    if len(raw) > MAX_BYTES:
        raise Malformed("the document proof is too large")
    try:
        file = msgspec.json.decode(raw, type=_File)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not a document proof: {error}") from None
    if file.format != FORMAT:
        raise Malformed(f"a file of format {file.format!r}, this software reads {FORMAT}")
    proof = decode(decode_base64(file.proof), DocumentProof, limit=limits.MAX_RECEIPT_BYTES)
    if merkle.leaf_hash(proof.leaf).hex() != file.record:
        raise Malformed("the proof is about another record than the file says")
    return proof
