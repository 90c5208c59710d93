"""Binary at ``/fhir``: the bytes of a record, for a permit (IHE MHD, ITI-68).

Reading is an act: the node asks the chain for the record in the caller's name, and only with a
permit does its holder send it. A denial is answered with the decision, which is on the chain, and
the rule; nothing else is said. An id that the caller was never shown does not exist for her.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator
from typing import Final

from starlette.responses import Response

from ledger.api.fhir.documents import Documents
from ledger.api.fhir.errors import MEDIA_TYPE, FhirProblem
from ledger.api.fhir.negotiation import view_of
from ledger.api.fhir.offer import Caller, Offer, Resource
from ledger.api.fhir.purpose import HEADERS, needed, purpose_of
from ledger.api.fhir.requests import url_pairs
from ledger.api.fhir.shown import Found
from ledger.api.fhir.sources import CannotAct, Denied, FetchBroken, Fetched, Sources
from ledger.api.fhir.standing import there
from ledger.api.pieces import PieceResponse
from ledger.api.principal import Kind
from ledger.fhir import documents as resources
from ledger.fhir import r5records
from ledger.fhir.documents import Document
from ledger.fhir.outcome import Issue
from ledger.fhir.records import InvalidResource, describe, parse_resource

DECISION_HEADER: Final = "Ledger-Decision"
SALT_HEADER: Final = "Ledger-Salt"
#: R4 section 2.27.4: whose rules the bytes are under.
CONTEXT_HEADER: Final = "X-Security-Context"

_RANGE: Final = re.compile(r"bytes=([0-9]{1,18})-", re.ASCII)
#: Bytes up to which a record is wrapped into a Binary resource.
MAX_WRAPPED: Final = 4 << 20


class Binaries:
    """Handlers of Binary."""

    def __init__(self, sources: Sources, documents: Documents) -> None:
        self._sources = sources
        self._documents = documents

    def offer(self) -> Offer:
        return Offer(
            "Binary",
            "The exact bytes of a record, after a permit on the chain",
            mandatory=("contentType",),
            summary=("contentType", "securityContext"),
            read=self.read,
            to_r5=r5records.unchanged,
            any_media=True,
            headers=HEADERS,
        )

    async def read(self, caller: Caller, name: str) -> Resource | Response | None:
        found = await self._documents.find(caller, name)
        document = None if found is None else there(caller.service, found)
        if found is None or document is None:
            return None
        wrapped = _wants_resource(caller)
        if wrapped and document.pointer.size > MAX_WRAPPED:
            text = f"Larger than {MAX_WRAPPED} bytes: ask for the bytes, not for a resource"
            raise FhirProblem(406, Issue("too-long", text))
        asked = None if wrapped else _range(caller, document)
        fetched = await self._fetched(caller, found)
        headers = {
            DECISION_HEADER: fetched.decision,
            SALT_HEADER: fetched.salt.hex(),
            CONTEXT_HEADER: f"DocumentReference/{document.id}",
        }
        if wrapped:
            return await self._wrapped(caller, fetched, found, document, headers)
        return _whole_or_part(fetched, found, document, headers, asked)

    async def _fetched(self, caller: Caller, found: Found) -> Fetched:
        purpose = purpose_of(caller.request, caller.principal) or found.purpose
        if caller.principal.kind is Kind.PATIENT:
            text = "A patient asks with her own key: access.request, then POST /v1/records/release"
            raise FhirProblem(403, Issue("business-rule", text))
        try:
            return await self._sources.fetch(caller.principal, found.shown, needed(purpose))
        except Denied as error:
            text = f"Denied by {error.rule}, decision {error.decision}"
            raise FhirProblem(
                403, Issue("forbidden", text), headers={DECISION_HEADER: error.decision}
            ) from None
        except CannotAct as error:
            raise FhirProblem(403, Issue("security", str(error))) from None
        except FetchBroken as error:
            raise FhirProblem(503, Issue("transient", str(error))) from None

    async def _wrapped(
        self,
        caller: Caller,
        fetched: Fetched,
        found: Found,
        document: Document,
        headers: dict[str, str],
    ) -> Response:
        """The Binary resource: the same in R4 and in R5."""
        view = view_of(caller.request, url_pairs(caller.request), any_media=True)
        try:
            content = b"".join([piece async for piece in _noted(fetched, found)])
        except FetchBroken as error:
            raise FhirProblem(503, Issue("transient", str(error))) from None
        body = view.encode(resources.binary(document, content))
        return Response(body, headers={**headers, "Content-Type": view.content_type})


def _wants_resource(caller: Caller) -> bool:
    """Whether the caller wants FHIR's wrapping; whoever says nothing gets the bytes (R4 2.27.4)."""
    if caller.request.query_params.get("_format"):
        return True
    accepted = caller.request.headers.get("accept", "")
    return any(part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in accepted.split(","))


def _range(caller: Caller, document: Document) -> int | None:
    """The byte with which a caller wants to go on; None for all of it.

    Of RFC 9110 section 14 what resuming needs: one range to the end, of this very record. Any other
    is answered with the whole, as a server may. A `FhirProblem` 416 behind the end.
    """
    match = _RANGE.fullmatch(caller.request.headers.get("range", "").strip())
    condition = caller.request.headers.get("if-range", "").strip()
    if match is None or (condition and condition != _tag(document)):
        return None
    start = int(match[1])
    if start >= document.pointer.size:
        there = {"Content-Range": f"bytes */{document.pointer.size}"}
        raise FhirProblem(416, Issue("invalid", "The record ends before that"), headers=there)
    return start


def _tag(document: Document) -> str:
    """The ETag of a record's bytes, which never change."""
    return f'"{document.id}"'


def _whole_or_part(
    fetched: Fetched, found: Found, document: Document, headers: dict[str, str], start: int | None
) -> Response:
    media, size = resources.media_of(document.pointer), document.pointer.size
    # The type as a header, so that nobody adds a charset that the record may not have. Whatever it
    # is, a browser must not show it as a page of this server.
    headers = {
        **headers,
        "Content-Type": media,
        "Content-Disposition": "attachment",
        "Accept-Ranges": "bytes",
        "ETag": _tag(document),
    }
    pieces = _noted(fetched, found)
    if start is None:
        return PieceResponse(pieces, media, size=size, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return PieceResponse(
        _from(pieces, start), media, size=size - start, headers=headers, status=206
    )


async def _from(pieces: AsyncGenerator[bytes, None], start: int) -> AsyncGenerator[bytes, None]:
    """What comes from a byte on. All of it is fetched and checked again: it is another permit."""
    try:
        async for piece in pieces:
            if len(piece) > start:
                yield piece[start:]
            start = max(0, start - len(piece))
    finally:
        await pieces.aclose()


async def _noted(fetched: Fetched, found: Found) -> AsyncGenerator[bytes, None]:
    """The bytes as they come. The last piece waits until the whole is known to be what was
    anchored, so nobody takes anything else for whole; then it is noted what the caller knows."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    kept: list[bytes] | None = [] if found.shown.pointer.size <= MAX_WRAPPED else None
    held = b""
    try:
        async for piece in fetched.pieces:
            sha1.update(piece)
            if kept is not None:
                kept.append(piece)
            if held:
                yield held
            held = piece
    finally:
        await fetched.pieces.aclose()
    found.sha1 = sha1.digest()
    if kept is not None:
        _described(found, b"".join(kept))
    if held:
        yield held


def _described(found: Found, content: bytes) -> None:
    """The exact type and the labels, which whoever has the record can read in it."""
    try:
        description = describe(parse_resource(content))
    except InvalidResource:
        return
    if description is not None:
        found.type, found.labels = description.type, description.labels
