"""Asking a holder for records: opaque signed requests in, sealed answers out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import SEALED, failures
from ledger.api.exchange import MAX_RECORD_REQUEST_BYTES, MSGPACK, media_type, read_body
from ledger.api.pieces import PieceResponse
from ledger.api.service import NodeService

#: No record has a chunk of a higher number.
MAX_FIRST = 2**31

_REQUEST_BODY = {"requestBody": {"required": True, "content": {MSGPACK: {"schema": SEALED}}}}
_ANSWER = {
    200: {"description": "Canonical bytes", "content": {MSGPACK: {"schema": SEALED}}},
    **failures(
        problems.MALFORMED,
        problems.NOT_PERMITTED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_MEDIA,
        problems.INVALID_PARAMETERS,
        problems.TOO_OFTEN,
    ),
}


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1/records", tags=["records"])

    @routes.post(
        "/release",
        response_class=Response,
        summary="Fetch a record with a permit",
        responses=_ANSWER,
        openapi_extra=_REQUEST_BODY,
    )
    async def release(
        request: Request,
        first: Annotated[
            int, Query(ge=0, le=MAX_FIRST, description="number of the chunk with which to begin")
        ] = 0,
    ) -> Response:
        """Send the signed release request with the receipt of a permit; get the record in chunks,
        sealed to the key that the permit names. A transfer that broke off goes on with ``first``.
        Without a permit the answer is 403 and the same whether the record exists or not. The
        formats are in docs/protocol/records.md."""
        media_type(request, MSGPACK)
        body = await read_body(request, MAX_RECORD_REQUEST_BYTES)
        return PieceResponse(await service.release(body, first), MSGPACK)

    @routes.post(
        "/pointers",
        response_class=Response,
        summary="Learn which records of a subject are held here",
        responses=_ANSWER,
        openapi_extra=_REQUEST_BODY,
    )
    async def pointers(request: Request) -> Response:
        """Send a signed request for a subject's pointers; get them with their proofs, sealed to the
        asker. 403 without a standing that the node accepts."""
        media_type(request, MSGPACK)
        body = await read_body(request, MAX_RECORD_REQUEST_BYTES)
        return Response(await service.pointers(body), media_type=MSGPACK)

    @routes.post(
        "/enquired",
        response_class=Response,
        summary="Learn which records may be shown on an enquiry",
        responses=_ANSWER,
        openapi_extra=_REQUEST_BODY,
    )
    async def enquired(request: Request) -> Response:
        """Send a signed question with the receipt of an enquiry; get the pointers of those records
        that the asker would be permitted to have, with their proofs, sealed to the key that the
        enquiry names."""
        media_type(request, MSGPACK)
        body = await read_body(request, MAX_RECORD_REQUEST_BYTES)
        return Response(await service.enquired(body), media_type=MSGPACK)

    return routes
