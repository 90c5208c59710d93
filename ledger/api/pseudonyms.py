"""Pseudonyms: blinded elements in, the answers of holders of shares out.

The node never sees an id. Whoever asks blinds it, checks the proofs against the chain and removes
the blinding (`ledger.client.pseudonyms`); the node signs the questions in the institution's name.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.api import models, problems
from ledger.api.documentation import failures
from ledger.api.exchange import JSON, media_type, parse_json, read_body, reply
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.chain.evaluation import MAX_ELEMENTS
from ledger.crypto.oprf import group
from ledger.node.pseudonyms.asker import Gathered, NoKey
from ledger.node.pseudonyms.desk import CeremonyRefused

#: 256 elements of 64 hex digits, and what stands around them.
MAX_BYTES = 32 * 1024
#: Staff who may ask in the institution's name.
ROLES = frozenset({"registrar", "records-officer"})

Domain = Annotated[str, msgspec.Meta(pattern=r"^(patients|study)\.[A-Za-z0-9._-]{1,64}\Z")]


class _Questions(msgspec.Struct, forbid_unknown_fields=True):
    domain: Domain
    elements: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]],
        msgspec.Meta(min_length=1, max_length=MAX_ELEMENTS),
    ]


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    domain: Domain


_questions = msgspec.json.Decoder(_Questions)
_begins = msgspec.json.Decoder(_Begin)


def _may_ask(request: Request, institution: str) -> None:
    """Refuse who has signed in and does not register patients for this institution.

    Where nobody signs in, the bearer token or the loopback address is what stands for the
    institution's own software.
    """
    caller = request.scope.get(SCOPE_KEY)
    if not isinstance(caller, Principal) or caller.kind is Kind.OPERATOR:
        return
    suited = caller.kind is Kind.SYSTEM or ROLES & set(caller.roles)
    if caller.kind is Kind.PATIENT or caller.institution != institution or not suited:
        raise Problem(problems.NOT_PERMITTED, "registrars and records officers ask")


def _elements(texts: list[str]) -> list[bytes]:
    try:
        return [group.element(bytes.fromhex(text)) for text in texts]
    except group.NotOfGroup as error:
        raise Problem(problems.INVALID_PARAMETERS, f"elements: {error}") from None


def _answers(found: Gathered) -> Response:
    if not found.enough:
        raise Problem(
            problems.TOO_FEW_ANSWERS,
            f"{len(found.answers)} of {found.epoch.holders.threshold} that it takes"
            + "".join(f"; {node}: {why}" for node, why in sorted(found.refusals.items())),
            refusals=found.refusals,
            cheats=list(found.cheats),
        )
    return reply(
        {
            "domain": found.epoch.domain,
            "epoch": found.epoch.number,
            "answers": [
                {
                    "index": index,
                    "node": found.epoch.nodes[index],
                    "elements": [point.hex() for point in answer.elements],
                    "proof": answer.proof.hex(),
                }
                for index, answer in sorted(found.answers.items())
            ],
            "refusals": found.refusals,
            "cheats": list(found.cheats),
            "left": found.left,
        }
    )


def _body(model: type[models.Model]) -> dict[str, object]:
    content = {JSON: {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1/pseudonyms", tags=["pseudonyms"])

    @routes.get(
        "",
        response_model=models.PseudonymKeys,
        summary="See which keys there are",
        responses=failures(problems.INVALID_PARAMETERS),
    )
    async def keys() -> Response:
        """The keys by which ids become pseudonyms, who holds their shares, how many evaluations
        this institution may have of each holder in a day, and the ceremonies going on."""
        return reply(service.keys_of_pseudonyms())

    @routes.post(
        "/evaluate",
        response_model=models.Evaluations,
        summary="Have blinded elements evaluated",
        responses=failures(
            problems.MALFORMED,
            problems.NOT_PERMITTED,
            problems.NO_KEY,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
            problems.TOO_FEW_ANSWERS,
        ),
        openapi_extra=_body(models.EvaluateRequest),
    )
    async def evaluate(request: Request) -> Response:
        """Up to 256 elements that the caller has blinded. The node signs the question, asks as many
        holders as it takes, and gives their answers with the proofs, for the caller to check and
        combine. Neither the node nor a holder learns what an element stands for. Each element
        counts against the institution's quota of the day."""
        _may_ask(request, service.institution)
        media_type(request, JSON)
        asked = parse_json(await read_body(request, MAX_BYTES), _questions)
        try:
            return _answers(await service.evaluate(asked.domain, _elements(asked.elements)))
        except NoKey:
            raise Problem(problems.NO_KEY) from None

    @routes.post(
        "/ceremonies",
        response_model=models.CeremonyBegun,
        summary="Begin to make a key",
        responses=failures(
            problems.MALFORMED,
            problems.NOT_PERMITTED,
            problems.CEREMONY_REFUSED,
            problems.TOO_LARGE,
            problems.UNSUPPORTED_MEDIA,
            problems.INVALID_PARAMETERS,
            problems.NOT_READY,
        ),
        openapi_extra=_body(models.BeginCeremonyRequest),
    )
    async def begin(request: Request) -> Response:
        """The validators make the key of patients of the generation that is due, or of an approved
        study, or share an old one anew. It takes some blocks; `GET /v1/pseudonyms` shows how far it
        is."""
        _may_ask(request, service.institution)
        media_type(request, JSON)
        asked = parse_json(await read_body(request, MAX_BYTES), _begins)
        try:
            return reply({"ceremony": await service.begin_key(asked.domain)})
        except CeremonyRefused as error:
            raise Problem(problems.CEREMONY_REFUSED, str(error)) from None
        except (TimeoutError, PermissionError) as error:
            raise Problem(problems.NOT_READY, str(error)) from None

    return routes
