"""Submitting transactions and learning what became of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from ledger.api import models, problems
from ledger.api.documentation import BINARY_BATCH, JSON_BATCH, SUBMIT_EXAMPLES, failures
from ledger.api.exchange import (
    HEX_32,
    JSON,
    MAX_SUBMISSION_BYTES,
    MSGPACK,
    media_type,
    parse_json,
    read_body,
    reply,
)
from ledger.api.problems import Problem
from ledger.api.rendering import outcome_json, transaction_json
from ledger.api.service import NodeService, Submission
from ledger.chain.codec import decode
from ledger.chain.receipt import dump_receipt
from ledger.chain.transaction import decode_transaction

MAX_BATCH = 1_000
MAX_WAIT_S = 60

#: Refusals that pass by themselves: worth another attempt later.
BUSY_CODES = frozenset({"pool_full", "signer_limit"})

TransactionId = Annotated[
    str, Path(pattern=HEX_32, description="id of the transaction: 64 hex digits, lower case")
]
Wait = Annotated[
    float,
    Query(
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description=f"seconds to wait until final, at most {MAX_WAIT_S}",
    ),
]


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    transactions: Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


_batches = msgspec.json.Decoder(_Batch)


async def _envelopes(request: Request) -> list[bytes]:
    if media_type(request, JSON, MSGPACK) == JSON:
        body = await read_body(request, MAX_SUBMISSION_BYTES * 3 // 2)
        return parse_json(body, _batches).transactions
    body = await read_body(request, MAX_SUBMISSION_BYTES)
    raws = decode(body, list[bytes], limit=MAX_SUBMISSION_BYTES)
    if not 1 <= len(raws) <= MAX_BATCH:
        raise Problem(problems.INVALID_PARAMETERS, f"a batch has 1 to {MAX_BATCH} transactions")
    return raws


def _refuse(submissions: list[Submission]) -> Problem:
    kind = problems.REFUSED
    if all(submission.code in BUSY_CODES for submission in submissions):
        kind = problems.BUSY
    first = submissions[0]
    return Problem(
        kind,
        f"{first.code}: {first.detail}" if len(submissions) == 1 else "see the list",
        transactions=[_submission_json(submission, None) for submission in submissions],
    )


def _submission_json(submission: Submission, outcome: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": submission.id,
        "accepted": submission.accepted,
        "code": submission.code,
        "detail": submission.detail,
        "outcome": outcome,
    }


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["transactions"])

    def outcome_of(tx_id: bytes) -> dict[str, Any] | None:
        found = service.outcome(tx_id)
        return None if found is None else outcome_json(*found)

    async def wait_for(ids: list[bytes], seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        for tx_id in ids:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await service.wait(tx_id, left)

    async def not_final(tx_id: bytes) -> Problem:
        place = await service.archived_transaction(tx_id)
        if place is not None:
            return problems.archived(place)
        state = "pending" if service.pending(tx_id) else "unknown"
        detail = {
            "pending": "The transaction waits to be ordered. Ask again, or ask with ?wait=.",
            "unknown": "This node has never seen the transaction, or it expired.",
        }[state]
        return Problem(problems.UNKNOWN_TRANSACTION, detail, state=state)

    @routes.post(
        "/transactions",
        status_code=202,
        response_model=models.Submissions,
        response_description="Accepted; those that are not final yet have no outcome",
        summary="Submit signed transactions",
        responses={
            200: {"model": models.Submissions, "description": "All that were accepted are final"},
            **failures(
                problems.MALFORMED,
                problems.TOO_LARGE,
                problems.UNSUPPORTED_MEDIA,
                problems.INVALID_PARAMETERS,
                problems.REFUSED,
                problems.BUSY,
            ),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {"schema": JSON_BATCH, "examples": SUBMIT_EXAMPLES},
                    MSGPACK: {"schema": BINARY_BATCH},
                },
            }
        },
    )
    async def submit(request: Request, wait: Wait = 0) -> Response:
        """Give 1 to 1,000 signed transactions to this node, which passes them on to the others.

        Each is answered for itself. Submitting the same transaction again is harmless: it is
        answered with `known` or `final`. If none is accepted the answer is a problem with the same
        list. With `wait` the answer comes when all accepted ones are final, with what came out of
        them, or when the time is up. Bulk submitters send the canonical msgpack array of raw
        envelopes instead of JSON.
        """
        submissions = await service.submit(await _envelopes(request))
        accepted = [bytes.fromhex(item.id) for item in submissions if item.accepted and item.id]
        if not accepted:
            raise _refuse(submissions)
        if not wait:
            return reply(
                {"transactions": [_submission_json(item, None) for item in submissions]}, 202
            )
        await wait_for(accepted, wait)
        outcomes = {tx_id.hex(): outcome_of(tx_id) for tx_id in accepted}
        answer = [
            _submission_json(item, outcomes.get(item.id) if item.id else None)
            for item in submissions
        ]
        return reply({"transactions": answer}, 202 if None in outcomes.values() else 200)

    @routes.get(
        "/transactions/{tx}",
        response_model=models.TransactionModel,
        summary="Read a final transaction and what came out of it",
        responses=failures(
            problems.UNKNOWN_TRANSACTION, problems.ARCHIVED, problems.INVALID_PARAMETERS
        ),
    )
    async def transaction(tx: TransactionId, wait: Wait = 0) -> Response:
        """The calls of a transaction, its signers, and the result of each call.

        404 has the member `state`: `pending` while the transaction waits here, else `unknown`.
        """
        tx_id = bytes.fromhex(tx)
        if wait:
            await service.wait(tx_id, wait)
        found = service.outcome(tx_id)
        block = None if found is None else service.block(found[0])
        if found is None or block is None:
            raise await not_final(tx_id)
        rendered = transaction_json(decode_transaction(block.transactions[found[1]]))
        return reply({**rendered, "outcome": outcome_json(*found)})

    @routes.get(
        "/receipts/{tx}",
        response_model=models.ReceiptFile,
        summary="Get the receipt of a final transaction",
        responses=failures(
            problems.UNKNOWN_TRANSACTION, problems.ARCHIVED, problems.INVALID_PARAMETERS
        ),
    )
    async def receipt(tx: TransactionId, wait: Wait = 0) -> Response:
        """A receipt file: keep it. `health-ledger audit verify --receipt` checks it offline.

        404 has the member `state`: `pending` while the transaction waits here, else `unknown`.
        """
        tx_id = bytes.fromhex(tx)
        if wait:
            await service.wait(tx_id, wait)
        found = service.receipt(tx_id)
        if found is None:
            raise await not_final(tx_id)
        return Response(dump_receipt(found), media_type=JSON)

    return routes
