"""From a record to its pointer: the salts that hide, and the pointer that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.pointer import SALT_SIZE, Pointer, commitment
from ledger.chain.tokens import LabelKey, tokens_root
from ledger.fhir.labels import sensitivity_lineage
from ledger.fhir.records import Description


@dataclass(frozen=True, slots=True)
class Salts:
    """The three salts of a record, 16 bytes each. Who destroys them makes the pointer say nothing.

    ``digest`` hides the bytes, ``type`` the exact type, ``labels`` the sensitivity codes. They are
    different so that opening one commitment opens no other.
    """

    digest: bytes
    type: bytes
    labels: bytes

    @classmethod
    def fresh(cls, entropy: Callable[[int], bytes]) -> Salts:
        return cls.unpack(entropy(3 * SALT_SIZE))

    @classmethod
    def unpack(cls, pool: bytes) -> Salts:
        return cls(pool[:SALT_SIZE], pool[SALT_SIZE : 2 * SALT_SIZE], pool[2 * SALT_SIZE :])

    def pack(self) -> bytes:
        return self.digest + self.type + self.labels


def salts_id(name: bytes) -> bytes:
    """By what the key of a record's salts is found."""
    return b"salts/" + name


def opening_of(description: Description, key: LabelKey | None, salts: Salts) -> tuple[bytes, ...]:
    """The tokens of a record's labels and codes; nothing where the patient has no label key here,
    or there are more labels than a list has room for."""
    if key is None:
        return ()
    labels = {above for label in description.labels for above in sensitivity_lineage(label)}
    return key.opening(labels, description.codes, salts.labels)


def make_pointer(
    holder: str,
    subject: str,
    media: str,
    digest: bytes,
    size: int,
    description: Description,
    salts: Salts,
    replaces: bytes,
    key: LabelKey | None = None,
) -> Pointer:
    """The pointer to a record; a pure function, so the same input gives the same name again.

    Args:
        holder: institution id.
        subject: pseudonym, in place of the patient reference in ``description``.
        media: media type.
        digest: `record_digest` of the exact bytes under the record's own salt.
        size: how many bytes.
        description: what the record says of itself.
        salts: the record's own.
        replaces: name of the record that this one supersedes, or empty.
        key: the patient's label key. Without it the labels are committed to as one text, which no
            contract can be shown: the record counts as one whose labels are closed.
    """
    tokens = opening_of(description, key, salts)
    closed = commitment(salts.labels, " ".join(description.labels))
    return Pointer(
        holder=holder,
        subject=subject,
        kind=description.kind,
        digest=digest,
        size=size,
        media=media,
        start=description.start,
        end=description.end,
        confidentiality=description.confidentiality,
        type=commitment(salts.type, description.type),
        labels=tokens_root(tokens) if tokens else closed,
        replaces=replaces,
    )
