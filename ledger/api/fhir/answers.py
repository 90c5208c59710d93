"""From what a handler says to an HTTP response: version, view, ETag, Last-Modified, Location."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.negotiation import View
from ledger.api.fhir.offer import Offer, Resource
from ledger.fhir.outcome import Issue


def etag(resource: Resource) -> str:
    """The weak ETag of a version; empty for a resource that has none."""
    version = resource.get("meta", {}).get("versionId", "")
    return f'W/"{version}"' if version else ""


def version_of(tag: str) -> str:
    """The version that an entity tag names; `FhirProblem` 400 for what is none."""
    text = tag.strip()
    bare = text.removeprefix("W/")
    if len(bare) < 3 or bare[0] != '"' or bare[-1] != '"' or not bare[1:-1].isascii():
        raise FhirProblem(400, Issue("invalid", 'If-Match: the ETag of a version, W/"…"'))
    return bare[1:-1]


def headers_of(resource: Resource) -> dict[str, str]:
    """ETag and Last-Modified of a resource, as far as it has what they say."""
    found = {}
    tag = etag(resource)
    if tag:
        found["ETag"] = tag
    changed = resource.get("meta", {}).get("lastUpdated")
    if changed:
        moment = datetime.fromisoformat(changed).astimezone(UTC)
        found["Last-Modified"] = format_datetime(moment.replace(microsecond=0), usegmt=True)
    return found


def in_version(resource: Resource, offers: Mapping[str, Offer], version: str) -> Resource:
    """A resource, or every resource of a Bundle, in the version of FHIR that was asked for.

    A `FhirProblem` 406 for a type that has no mapping.
    """
    if version == "4.0":
        return resource
    kind = resource["resourceType"]
    if kind == "Bundle":
        entries = [
            {**entry, "resource": in_version(entry["resource"], offers, version)}
            if "resource" in entry
            else entry
            for entry in resource.get("entry", ())
        ]
        return {**resource, "entry": entries} if entries else resource
    offer = offers.get(kind)
    if offer is None:
        return resource  # OperationOutcome, Parameters: alike in both
    if offer.to_r5 is None:
        raise FhirProblem(406, Issue("not-supported", f"{kind} is served in FHIR 4.0 only"))
    return offer.to_r5(resource)


def shown(resource: Resource, offers: Mapping[str, Offer], view: View) -> Resource:
    """The part that was asked for, in the version that was asked for."""
    kind = resource["resourceType"]
    if kind == "Bundle":
        entries = [
            {**entry, "resource": shown(entry["resource"], offers, view)}
            if "resource" in entry
            else entry
            for entry in resource.get("entry", ())
        ]
        return {**resource, "entry": entries} if entries else resource
    offer = offers.get(kind)
    if offer is None:
        return resource
    mapped = in_version(resource, offers, view.version)
    return view.shown(mapped, offer.mandatory, offer.summary)


def respond(
    resource: Resource,
    offers: Mapping[str, Offer],
    view: View,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response that carries a resource."""
    body = view.encode(shown(resource, offers, view))
    every = {**headers_of(resource), **(headers or {}), "Content-Type": view.content_type}
    return Response(body, status, every)


def not_modified(request: Request, resource: Resource) -> Response | None:
    """304 where the caller has this version already (R4 section 3.1.0.1.6)."""
    headers = headers_of(resource)
    known = request.headers.get("if-none-match", "")
    if known:
        tags = {tag.strip() for tag in known.split(",")}
        if etag(resource) and (etag(resource) in tags or "*" in tags):
            return Response(status_code=304, headers=headers)
        return None
    since = request.headers.get("if-modified-since", "")
    if since and "Last-Modified" in headers and _http_date(since) >= _http_date(
        headers["Last-Modified"]
    ):  # fmt: skip
        return Response(status_code=304, headers=headers)
    return None


def _http_date(text: str) -> float:
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    return moment.timestamp() if moment.tzinfo else 0.0


def without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """Members that say something; FHIR has no null and no empty list."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}
