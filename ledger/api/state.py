"""Reading what the contracts remember: entries with proofs, and their query methods."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from ledger.api import models, problems
from ledger.api.documentation import QUERY_EXAMPLES, failures
from ledger.api.exchange import (
    JSON,
    MAX_HEIGHT,
    MAX_QUERY_BYTES,
    NAME,
    media_type,
    parse_json,
    read_body,
    reply,
    state_key,
)
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain import limits
from ledger.chain.codec import decode_value
from ledger.chain.statement import Statement, StatementFile, statement_file
from ledger.chain.statetree import TileMissing
from ledger.chain.values import from_json, to_json

_NOT_THERE = ("unknown_contract", "unknown_method")


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    arguments: dict[str, Any] = {}
    height: Annotated[int, msgspec.Meta(ge=0, le=MAX_HEIGHT)] | None = None
    version: Annotated[int, msgspec.Meta(ge=1, le=MAX_HEIGHT)] | None = None


_questions = msgspec.json.Decoder(_Question)

ContractName = Annotated[str, Path(pattern=NAME, description="name of a contract")]


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["state"])

    def proven(name: bytes, height: int) -> tuple[StatementFile, bytes | None]:
        header, certificate, path, raw = service.state_proof(name, height)
        if certificate is None:
            raise Problem(
                problems.INVALID_PARAMETERS,
                "nobody certifies height 0: it follows from the genesis file alone",
            )
        handovers = service.handovers(height)
        statement = Statement(name, raw, header, certificate, path, handovers)
        return statement_file(statement), raw

    def kept(height: int) -> None:
        # The state after the block just below the base is still here.
        place = service.archived_block(height + 1)
        if place is not None:
            raise problems.archived(place)

    @routes.get(
        "/state/{contract}/{key:path}",
        response_model=models.StateEntry,
        summary="Read one entry of a contract's state",
        responses=failures(problems.UNKNOWN_BLOCK, problems.ARCHIVED, problems.INVALID_PARAMETERS),
    )
    async def entry(
        contract: ContractName,
        key: Annotated[
            str,
            Path(
                max_length=limits.MAX_STATE_KEY_BYTES,
                description="`NAME`, or `MAP/KEY`",
                examples=["people/n-yaf-1"],
            ),
        ],
        height: Annotated[
            int | None,
            Query(ge=0, le=MAX_HEIGHT, description="as it was after the block of that height"),
        ] = None,
        proof: Annotated[
            bool, Query(description="add what proves it to a holder of the genesis file")
        ] = False,
    ) -> Response:
        """The value now or at an earlier height. That an entry is absent is an answer, not an
        error: `present` is false, and with `proof` the absence is proven."""
        name = state_key(contract, key)
        head = service.head().height
        at = head if height is None else height
        if at > head:
            raise Problem(problems.UNKNOWN_BLOCK, head=head)
        kept(at)
        evidence = None
        if proof:
            try:
                evidence, raw = proven(name, at)
            except TileMissing:
                kept(at)  # it may have gone a moment ago
                raise
        else:
            raw = service.state(name, at)
        value = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
        return reply(
            {
                "key": name.decode(),
                "height": at,
                "present": raw is not None,
                "value": to_json(value),
                "proof": evidence,
            }
        )

    @routes.post(
        "/query/{contract}/{method}",
        response_model=models.QueryAnswer,
        summary="Ask a contract",
        responses=failures(
            problems.MALFORMED,
            problems.UNKNOWN_METHOD,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
            problems.QUERY_FAILED,
            problems.UNKNOWN_BLOCK,
            problems.ARCHIVED,
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {
                        "schema": models.QueryRequest.model_json_schema(),
                        "examples": QUERY_EXAMPLES,
                    }
                },
            }
        },
    )
    async def query(
        request: Request,
        contract: ContractName,
        method: Annotated[str, Path(pattern=NAME, description="one of its query methods")],
    ) -> Response:
        """Run a query method on the newest state, or on that after an earlier block (`height`), as
        the version in force then or another one (`version`). Nothing is recorded and nothing is
        proven: the answer is this node's word. A contract's refusal is a problem with the member
        `error`."""
        media_type(request, JSON)
        body = await read_body(request, MAX_QUERY_BYTES)
        question = parse_json(body, _questions)
        arguments = {name: from_json(value) for name, value in question.arguments.items()}
        height = service.head().height
        if question.height is not None:
            if question.height > height:
                raise Problem(problems.UNKNOWN_BLOCK, head=height)
            kept(question.height)
            height = question.height
        result = await service.query(contract, method, arguments, question.height, question.version)
        if not result.ok:
            code = result.error.partition(":")[0]
            kind = problems.UNKNOWN_METHOD if code in _NOT_THERE else problems.QUERY_FAILED
            raise Problem(kind, result.error, error=code, gas=result.gas)
        return reply({"value": to_json(result.value), "gas": result.gas, "height": height})

    return routes
