"""What a request under ``/fhir`` says, read strictly."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request

from ledger.api.exchange import read_body
from ledger.api.fhir.errors import MEDIA_TYPE, FhirProblem
from ledger.api.fhir.negotiation import FORM, JSON, JSON_PATCH, body_version
from ledger.api.fhir.offer import Offer, Resource
from ledger.fhir import parsing
from ledger.fhir.outcome import Issue
from ledger.fhir.search import MAX_PARAMETERS, BadQuery, Parameter, Query, read_query

Pairs = list[tuple[str, str]]

_MAX_FORM: Final = 64 << 10


def url_pairs(request: Request) -> Pairs:
    """Names and values of the URL's query."""
    return _pairs(request.url.query)


async def form_pairs(request: Request) -> Pairs:
    """Names and values of the URL and of the form that is posted to ``_search``."""
    found = url_pairs(request)
    if request.headers.get("content-type", "") or request.headers.get("content-length", "0") != "0":
        body_version(request, FORM)
        raw = await read_body(request, _MAX_FORM)
        try:
            found += _pairs(raw.decode("ascii"))
        except UnicodeDecodeError:
            raise FhirProblem(400, Issue("structure", "The form is not percent-encoded")) from None
    return found


def _pairs(text: str) -> Pairs:
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        too_many = Issue("too-long", f"More than {MAX_PARAMETERS} parameters")
        raise FhirProblem(400, too_many) from None
    return found


def strict(request: Request) -> bool:
    """Whether unknown parameters are to be refused (R4 section 3.1.1.1.1)."""
    return _preference(request, "handling") == "strict"


def preferred_return(request: Request) -> str:
    """minimal, representation or OperationOutcome (R4 section 3.1.0.1.7)."""
    found = _preference(request, "return")
    return found if found in ("minimal", "OperationOutcome") else "representation"


def _preference(request: Request, name: str) -> str:
    for header in request.headers.getlist("prefer"):
        for part in header.replace(";", ",").split(","):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"')
    return ""


def understood(request: Request, offer: Offer, pairs: Pairs, base: str, *, strictly: bool) -> Query:
    """The query that is meant; a `FhirProblem` 400 for what cannot be answered as asked."""
    try:
        query = read_query(pairs, offer.parameters, sorts=offer.sorts, base=base)
    except BadQuery as error:
        raise FhirProblem(400, Issue("invalid", str(error))) from None
    if query.ignored and strictly:
        raise FhirProblem(400, *(_unknown(name, "error") for name in query.ignored))
    return query


def ignored(query: Query) -> tuple[Issue, ...]:
    """Warnings about the parameters that were left out of account."""
    return tuple(_unknown(name, "warning") for name in query.ignored)


def _unknown(name: str, severity: str) -> Issue:
    return Issue("not-supported", f"The parameter {name} is not known here", severity=severity)


async def resource_of(
    request: Request, offer: Offer, *, sent_as: str = ""
) -> tuple[Resource, bytes]:
    """The resource in the body, in R4, and the bytes that were sent.

    ``sent_as``: another type than the offer's that the body must be of. A `FhirProblem` 415, 413,
    400 or 422 for a body that is no such resource.
    """
    kind = sent_as or offer.type
    _, version = body_version(request, MEDIA_TYPE, JSON)
    raw = await read_body(request, offer.body_limit)
    resource = parsed_object(raw)
    if resource.get("resourceType") != kind:
        raise FhirProblem(400, Issue("invalid", f"A {kind} goes here", "resourceType"))
    if version == "5.0" and not sent_as:
        if offer.from_r5 is None:
            raise FhirProblem(415, Issue("not-supported", f"{kind} is taken in FHIR 4.0 only"))
        resource = offer.from_r5(resource)
    return resource, raw


def parsed_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body; a `FhirProblem` 400 for anything else."""
    try:
        return parsing.parse_object(raw)
    except parsing.Unreadable as error:
        raise FhirProblem(400, Issue("structure", f"The body cannot be read: {error}")) from None


async def patch_of(request: Request, limit: int) -> list[Any]:
    """The operations of a JSON Patch (RFC 6902), not yet understood."""
    body_version(request, JSON_PATCH)
    raw = await read_body(request, limit)
    try:
        operations = parsing.parse(raw)
    except parsing.Unreadable as error:
        raise FhirProblem(400, Issue("structure", f"The body cannot be read: {error}")) from None
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise FhirProblem(400, Issue("structure", "A JSON Patch is an array of objects"))
    return operations


def get_parameters(pairs: Pairs, parameters: tuple[Parameter, ...]) -> Resource | None:
    """The Parameters resource for an operation that is called by GET."""
    names = {parameter.name for parameter in parameters}
    given = [{"name": name, "valueString": value} for name, value in pairs if name in names]
    return {"resourceType": "Parameters", "parameter": given} if given else None
