"""How the OpenAPI document describes ``/fhir``.

FHIR's own schemas would be longer than all the rest of the document; what is said here is which
resource type goes in and comes out, every parameter and every status. The CapabilityStatement and
the StructureDefinitions of R4 say the rest.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from ledger.api.fhir.errors import MEDIA_TYPE
from ledger.api.fhir.negotiation import FORM, JSON, JSON_PATCH
from ledger.api.fhir.offer import Offer, Operation
from ledger.fhir.search import MAX_COUNT, Parameter

TAG: Final = {"name": "fhir", "description": "The FHIR R4 facade; see docs/fhir.md"}
_SCHEMAS: Final = "#/components/schemas/"

_TITLES: Final = {
    "read": "Read a {}",
    "vread": "Read one version of a {}",
    "search-type": "Search {}",
    "create": "Create a {}",
    "update": "Update a {}",
    "patch": "Patch a {}",
    "history-instance": "Versions of one {}",
    "history-type": "Changes of all {} that the caller may see",
}

_REASONS: Final = {
    "200": "Done, or found",
    "201": "Created",
    "202": "Prepared; not done before it is signed",
    "206": "The rest of the bytes",
    "304": "The caller has this version",
    "400": "The request cannot be understood",
    "401": "Sign in first",
    "403": "No scope, or no right",
    "404": "There is none, or not for the caller",
    "406": "No such format or version of FHIR",
    "409": "Not as things are now",
    "410": "The page's link holds no more, or the record was destroyed",
    "412": "Another version, or more than one match",
    "413": "The body is too large",
    "415": "The body has another media type",
    "416": "The bytes end before that",
    "421": "The Host header names another server",
    "422": "Understood, and not acceptable",
    "429": "Too many requests",
    "500": "A mistake of the node",
    "503": "The node cannot do it now",
}
_ALWAYS: Final = ("400", "401", "403", "406", "421", "429", "500", "503")
_STATUSES: Final = {
    "read": ("200", "304", "404", "410"),
    "vread": ("200", "304", "404"),
    "search-type": ("200", "410", "413", "415", "422"),
    "create": ("200", "201", "202", "409", "412", "413", "415", "422"),
    "update": ("200", "202", "404", "409", "412", "413", "415", "422"),
    "patch": ("200", "202", "404", "409", "412", "413", "415", "422"),
    "history-instance": ("200", "404", "410"),
    "history-type": ("200", "410"),
}
_OPERATION: Final = ("200", "201", "202", "404", "409", "410", "412", "413", "415", "422")

SCHEMAS: Final[dict[str, Any]] = {
    "OperationOutcome": {
        "type": "object",
        "title": "OperationOutcome",
        "required": ["resourceType", "issue"],
        "properties": {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["severity", "code"],
                    "properties": {
                        "severity": {"enum": ["fatal", "error", "warning", "information"]},
                        "code": {"type": "string"},
                        "diagnostics": {"type": "string"},
                        "expression": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
    },
    "Bundle": {
        "type": "object",
        "title": "Bundle",
        "required": ["resourceType", "type", "link"],
        "properties": {
            "resourceType": {"const": "Bundle"},
            "type": {"enum": ["searchset", "history"]},
            "total": {"type": "integer", "minimum": 0},
            "link": {"type": "array", "items": {"type": "object"}},
            "entry": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        },
    },
    "FhirResource": {
        "type": "object",
        "title": "A FHIR resource",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"}},
    },
}


def _typed(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "title": kind,
        "required": ["resourceType"],
        "properties": {
            "resourceType": {"const": kind},
            "id": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"},
        },
    }


def schemas(offers: list[Offer]) -> dict[str, Any]:
    """The component schemas that the routes of these offers refer to."""
    return {**SCHEMAS, **{f"Fhir{offer.type}": _typed(offer.type) for offer in offers}}


def _content(*names: str) -> dict[str, Any]:
    references = [{"$ref": _SCHEMAS + name} for name in names]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {MEDIA_TYPE: {"schema": schema}, JSON: {"schema": schema}}


def _answers(statuses: tuple[str, ...], schema: str) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *_ALWAYS}):
        found[status] = {"description": _REASONS[status]}
        if status in ("200", "201", "202"):
            found[status]["content"] = _content(schema, "OperationOutcome")
        elif status != "304":
            found[status]["content"] = _content("OperationOutcome")
    return found


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string"},
    }


#: What is certainly understood; other texts may be too.
_FORMATS: Final = {
    "type": "string",
    "pattern": r"^(json|application/(fhir\+)?json(; ?fhirVersion=[45]\.0)?)$",
}
_NAMES: Final = {"type": "string", "pattern": "^[A-Za-z]{1,30}(,[A-Za-z]{1,30}){0,9}$"}
_DATE: Final = "[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|1[0-9]|2[0-8]))?)?"
_SEARCHED: Final[dict[str, dict[str, Any]]] = {
    "date": {"type": "string", "pattern": f"^(eq|ne|gt|lt|ge|le|sa|eb)?{_DATE}"},
    "token": {"type": "string", "maxLength": 500},
    "reference": {"type": "string", "pattern": "^([A-Z][A-Za-z]+/)?[A-Za-z0-9.-]{1,64}$"},
    "string": {"type": "string", "maxLength": 500},
    "uri": {"type": "string", "maxLength": 500},
}

_VIEW: Final = [
    _in_query("_format", "json, or a media type with fhirVersion", _FORMATS),
    _in_query("_pretty", "Indented", {"enum": ["true", "false"]}),
]
_PARTS: Final = [
    _in_query("_elements", "Names of first-level elements", _NAMES),
    _in_query("_summary", "A part of each resource, or the count alone",
              {"enum": ["true", "text", "data", "count", "false"]}),
]  # fmt: skip
_CURSOR: Final = _in_query("_cursor", "From the next link of the page before", {"type": "string"})
_COUNT: Final = _in_query(
    "_count", f"Entries of a page, at most {MAX_COUNT}", {"type": "integer", "minimum": 0}
)


def _searched(parameters: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    return [
        _in_query(each.name, f"{each.documentation} ({each.kind})", _SEARCHED[each.kind])
        for each in parameters
    ]


def interaction(offer: Offer, code: str, *, form: bool = False) -> dict[str, Any]:
    """The arguments of ``add_api_route`` that describe an interaction."""
    kind = offer.type
    bundle = code in ("search-type", "history-instance", "history-type")
    parameters: list[dict[str, Any]] = []
    body: dict[str, Any] | None = None
    if code in ("read", "vread", "update", "patch", "history-instance"):
        parameters.append(_in_path("id"))
    if code == "vread":
        parameters.append(_in_path("vid"))
    if code in ("read", "vread"):
        parameters.append(_in_header("If-None-Match", "ETag of a version that the caller has"))
    if code in ("update", "patch"):
        parameters.append(_in_header("If-Match", "ETag of the version that is to be changed"))
    if code == "create":
        parameters.append(_in_header("If-None-Exist", "A query; one match is answered with 200"))
    if code in ("create", "update", "patch"):
        parameters.append(_in_header("Prefer", "return=minimal|representation|OperationOutcome"))
        body = _content(f"Fhir{kind}")
        if offer.example:
            body[MEDIA_TYPE] = {**body[MEDIA_TYPE], "example": offer.example}
    if code == "patch":
        array = {"type": "array", "items": {"type": "object"}}
        body = {JSON_PATCH: {"schema": array}}
    if code == "search-type":
        parameters.append(_in_header("Prefer", "handling=strict|lenient"))
        searched = [*_searched(offer.parameters), _COUNT, _CURSOR]
        if offer.sorts:
            by = ", ".join(offer.sorts)
            searched.append(_in_query("_sort", f"By {by}; with - descending", {"type": "string"}))
        parameters += searched
        if form:
            body = {FORM: {"schema": {"type": "object"}}}
    if code.startswith("history"):
        since = _in_query(
            "_since", "Versions since this instant", {"type": "string", "pattern": f"^{_DATE}"}
        )
        parameters += [since, _COUNT, _CURSOR]
    if code in ("read", "search-type"):
        parameters += [_in_header(*each) for each in offer.headers]
    extra: dict[str, Any] = {"parameters": [*parameters, *_VIEW, *_PARTS]}
    if body is not None:
        extra["requestBody"] = {"required": not form, "content": body}
    name = code.replace("-", "_") + ("_by_form" if form else "")
    answers = _answers(_STATUSES[code], "Bundle" if bundle else f"Fhir{kind}")
    if offer.any_media and code == "read":
        # What is asked for may itself be JSON of any kind.
        anything = {"schema": {"type": "object"}}
        answers["200"]["content"] = {MEDIA_TYPE: anything, JSON: anything}
        answers["200"]["content"]["*/*"] = {"schema": {"type": "string", "format": "binary"}}
        part = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
        answers["206"] = {"description": _REASONS["206"], "content": part}
        answers["416"] = {
            "description": _REASONS["416"], "content": _content("OperationOutcome")
        }  # fmt: skip
    return {
        "name": f"fhir_{kind.lower()}_{name}",
        "summary": _TITLES[code].format(kind) + (" by form" if form else ""),
        "tags": ["fhir"],
        "response_class": Response,
        "responses": answers,
        "openapi_extra": extra,
    }


def operation(offer: Offer, described: Operation, method: str) -> dict[str, Any]:
    """The arguments of ``add_api_route`` that describe an operation."""
    parameters = [_in_path("id")] if described.instance else []
    extra: dict[str, Any] = {"parameters": [*parameters, *_VIEW]}
    if method == "GET":
        extra["parameters"] += _searched(described.parameters)
    else:
        extra["requestBody"] = {"required": False, "content": _content("FhirResource")}
    place = "" if described.instance else "_type"
    name = described.name.replace("-", "_")
    return {
        "name": f"fhir_{offer.type.lower()}{place}_{name}_{method.lower()}",
        "summary": described.documentation,
        "tags": ["fhir"],
        "response_class": Response,
        "responses": _answers(_OPERATION, "FhirResource"),
        "openapi_extra": extra,
    }


def metadata() -> dict[str, Any]:
    """The arguments that describe the CapabilityStatement's route."""
    return {
        "name": "fhir_metadata",
        "summary": "What this server offers",
        "tags": ["fhir"],
        "response_class": Response,
        "responses": _answers(("200",), "FhirResource"),
        "openapi_extra": {"parameters": _VIEW},
    }
