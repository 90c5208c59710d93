"""Reading the chain itself: blocks, headers, certificates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ledger.api import models, problems
from ledger.api.documentation import failures
from ledger.api.exchange import HEIGHT, MAX_HEIGHT, reply
from ledger.api.problems import Problem
from ledger.api.rendering import block_json, header_json
from ledger.api.service import NodeService
from ledger.chain import merkle

MAX_PAGE = 200
MAX_LIST = 100


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["chain"])

    @routes.get(
        "/blocks/{height}",
        response_model=models.BlockModel,
        summary="Read a block with its certificate",
        responses=failures(problems.UNKNOWN_BLOCK, problems.ARCHIVED, problems.INVALID_PARAMETERS),
    )
    async def block(
        height: Annotated[
            str, Path(pattern=HEIGHT, description="a height, or `latest`", examples=["latest"])
        ],
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
        limit: Annotated[int, Query(ge=0, le=MAX_PAGE)] = 50,
    ) -> Response:
        """A block's header, the certificate that makes it final, and a page of its transactions
        with what came out of them. The genesis block has no certificate and no transactions."""
        number = service.head().height if height == "latest" else int(height)
        found, results = service.block(number), service.results(number)
        place = service.archived_block(number)
        if place is not None:
            raise problems.archived(place)
        if found is None or results is None:
            raise Problem(problems.UNKNOWN_BLOCK, head=service.head().height)
        certificate = service.certificate(number)
        return reply(block_json(found, certificate, results, offset, limit))

    @routes.get(
        "/blocks",
        response_model=models.BlockList,
        summary="List block headers",
        responses=failures(problems.ARCHIVED, problems.INVALID_PARAMETERS),
    )
    async def blocks(
        start: Annotated[
            int | None,
            Query(
                alias="from",
                ge=0,
                le=MAX_HEIGHT,
                description="first height; the newest page without it",
            ),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIST)] = 20,
    ) -> Response:
        """Headers in ascending order from a height on."""
        head = service.head().height
        first = max(0, head + 1 - limit) if start is None else start
        place = service.archived_block(first)
        if start is not None and place is not None:
            raise problems.archived(place)
        if place is not None:
            first = place.base
        found = []
        for height in range(first, min(first + limit, head + 1)):
            header = service.header(height)
            if header is None:
                break
            empty = header.transactions_root == merkle.root(())
            found.append({**header_json(header), "empty": empty})
        following = first + len(found)
        return reply(
            {"blocks": found, "head": head, "next": following if following <= head else None}
        )

    return routes
