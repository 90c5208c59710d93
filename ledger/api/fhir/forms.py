"""The paper form behind a consent, of which the chain has the hash.

The scan stays with the institution. A client sends its SHA-256 as an extension, or the scan itself
as ``sourceAttachment.data``, of which the node makes the hash and keeps nothing. Addresses are
never fetched, and a hash that is sent along is never believed: R4's is a SHA-1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from ledger.api.fhir.errors import FhirProblem
from ledger.fhir.consentview import FORM_EXTENSION
from ledger.fhir.outcome import Issue

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_PATH: Final = "Consent.sourceAttachment"


def form_of(resource: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> bytes:
    """The SHA-256 of the form that a resource brings, or nothing.

    ``known``: the resource as it was before; what that had is another form. A `FhirProblem` 422
    where the resource contradicts itself.
    """
    told = _told(resource)
    before = _told(known) if known is not None else []
    new = list(told)
    for each in before:
        if each in new:
            new.remove(each)
    scanned = _scanned(resource.get("sourceAttachment"))
    found = {*new, *((scanned,) if scanned else ())}
    if len(found) > 1:
        raise FhirProblem(422, Issue("conflict", "two different forms", _PATH))
    return found.pop() if found else b""


def _told(resource: Mapping[str, Any] | None) -> list[bytes]:
    extensions = resource.get("extension") if resource is not None else None
    found = []
    for each in extensions if isinstance(extensions, list) else ():
        if isinstance(each, Mapping) and each.get("url") == FORM_EXTENSION:
            text = each.get("valueString")
            if not isinstance(text, str) or not _HASH.fullmatch(text):
                wrong = Issue("value", "a SHA-256 as 64 hex digits", "Consent.extension")
                raise FhirProblem(422, wrong)
            found.append(bytes.fromhex(text))
    return found


def _scanned(attachment: Any) -> bytes:
    if not isinstance(attachment, Mapping) or not isinstance(attachment.get("data"), str):
        return b""
    try:
        data = base64.b64decode(attachment["data"], validate=True)
    except (binascii.Error, ValueError):
        raise FhirProblem(422, Issue("value", "not base64", f"{_PATH}.data")) from None
    claimed = attachment.get("hash")
    # FHIR defines the hash as SHA-1; whoever sends one should know what was sent with it.
    plain = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    if claimed is not None and claimed != plain:
        raise FhirProblem(422, Issue("invariant", "not the SHA-1 of the data", f"{_PATH}.hash"))
    return hashlib.sha256(data).digest()
