"""Checking the hashes that upstream systems put into attachments.

FHIR defines ``Attachment.hash`` as base64 of SHA-1, "not intended to support digital signatures".
The ledger never relies on it. What a source claims is recomputed where the data is there, and what
does not hold is reported, because it says something about the source.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import sha1

from ledger.fhir.records import InvalidResource, Resource, attachments_of, parse_resource
from ledger.node.vault.connector import (
    FHIR_JSON,
    Connector,
    Problem,
    RecordUnavailable,
    SourceRecord,
    read_resource,
)


@dataclass(slots=True)
class AttachmentAudit:
    """Counts over a source. ``junk``: hashes that are no SHA-1 or not that of the data."""

    attachments: int = 0
    hashes: int = 0
    verified: int = 0
    unverifiable: int = 0
    junk: list[Problem] = field(default_factory=list)


def audit_attachments(connector: Connector) -> AttachmentAudit:
    """Recompute every attachment hash of a source; files that are not FHIR are passed over."""
    audit = AttachmentAudit()
    for item in connector.records():
        if not isinstance(item, SourceRecord) or item.media != FHIR_JSON:
            continue
        try:
            resource = parse_resource(read_resource(connector, item.id))
        except (InvalidResource, RecordUnavailable):
            continue
        for attachment in attachments_of(resource):
            audit.attachments += 1
            if "hash" in attachment:
                audit.hashes += 1
                _check(item.id, attachment, audit)
    return audit


def _check(source: str, attachment: Resource, audit: AttachmentAudit) -> None:
    claimed = _base64(attachment["hash"])
    if claimed is None or len(claimed) != 20:
        audit.junk.append(Problem(source, "the hash is not a SHA-1 in base64"))
        return
    if "data" not in attachment:
        audit.unverifiable += 1
        return
    data = _base64(attachment["data"])
    if data is None or sha1(data, usedforsecurity=False).digest() != claimed:
        audit.junk.append(Problem(source, "the hash is not that of the data"))
    else:
        audit.verified += 1


def _base64(value: object) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None
