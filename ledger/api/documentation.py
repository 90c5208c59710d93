"""What OpenAPI says beyond the models: error answers, bodies that are not JSON, examples."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from ledger.api import models, problems
from ledger.api.fhir import openapi as fhir
from ledger.api.fhir.errors import under_fhir
from ledger.api.signin.areas import needs_credential

_SCHEMAS = "#/components/schemas/"

DESCRIPTION: Final = """\
One node of a health-data ledger. What it says about the chain can be checked offline with the
genesis file; see *receipts* and `?proof=true`.

Errors are RFC 9457 problem details with stable types `urn:health-ledger:problem:CODE`, and under
`/fhir` OperationOutcome resources. Bytes inside
contract values are written `{"$bytes": base64}`. Unknown query parameters are ignored, unknown
members of bodies are not.
"""

TAGS: Final = [
    {"name": "transactions", "description": "Submit, and learn what came of it"},
    {"name": "chain", "description": "Blocks and their certificates"},
    {"name": "state", "description": "What the contracts remember, with proofs"},
    {"name": "events", "description": "Follow the chain"},
    {"name": "patients", "description": "Passkeys, and what a patient signs"},
    {"name": "desk", "description": "Enrolling patients, and consents on paper"},
    {"name": "records", "description": "Fetch records from their holder"},
    {"name": "lists", "description": "Who opened what, and what has to be looked at"},
    fhir.TAG,
    {"name": "signing in", "description": "Sign in and out, sessions, and the log of it"},
    {"name": "operations", "description": "Health, readiness, figures"},
]

JSON_BATCH: Final = models.SubmitRequest.model_json_schema()
BINARY_BATCH: Final = {
    "type": "string",
    "format": "binary",
    "description": "canonical msgpack array of 1 to 1,000 raw envelopes",
}
EVENT_STREAM: Final = {
    "schema": {
        "type": "string",
        "description": "server-sent events; the data of each is a StreamedEvent, its id the cursor",
    }
}
SEALED: Final = {"type": "string", "format": "binary", "description": "see docs/protocol.md"}

SUBMIT_EXAMPLES: Final = {
    "one": {"summary": "One transaction", "value": {"transactions": ["ksQGlaDAAMPAkMQA"]}}
}
QUERY_EXAMPLES: Final = {
    "whois": {
        "summary": "POST /v1/query/registry/whois",
        "value": {"arguments": {"key": "01" + "5f" * 32}},
    },
    "bytes": {
        "summary": "An argument with bytes",
        "value": {"arguments": {"pointer": {"digest": {"$bytes": "3q2+7w=="}}}},
    },
}


def _example(kind: problems.Kind) -> dict[str, Any]:
    return {
        "summary": kind.title,
        "value": {
            "type": problems.TYPE_PREFIX + kind.code,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.title,
            "instance": "/v1/status",
            "code": kind.code,
        },
    }


def failures(*kinds: problems.Kind) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can answer with these kinds of problem."""
    answers: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in kinds}):
        same = [kind for kind in kinds if kind.status == status]
        answers[status] = {
            "description": "; ".join(kind.title for kind in same),
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": {"$ref": _SCHEMAS + "Problem"},
                    "examples": {kind.code: _example(kind) for kind in same},
                }
            },
        }
    return answers


def install(app: FastAPI, *, protected: bool, schemas: dict[str, Any]) -> None:
    """Replace the app's OpenAPI document by a complete one.

    ``schemas``: those that the routes under ``/fhir`` refer to.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, protected=protected)
            app.openapi_schema["components"]["schemas"].update(schemas)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, *, protected: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=TAGS,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _, extra = models_json_schema(
        [(models.ProblemDetails, "serialization"), (models.StreamedEvent, "serialization")],
        ref_template=_SCHEMAS + "{model}",
    )
    components = document["components"]
    schemas = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = extra["$defs"]["ProblemDetails"]
    schemas["StreamedEvent"] = extra["$defs"]["StreamedEvent"]
    gate = (
        (problems.UNAUTHORISED, problems.NOT_FOR_YOU, problems.TOO_OFTEN)
        if protected
        else (problems.MISDIRECTED,)
    )
    everywhere = failures(*gate, problems.INTERNAL, problems.NOT_READY)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if protected and needs_credential(path):
                operation["security"] = [{"token": []}]
        if under_fhir(path):
            continue  # says itself how it fails
        for operation in operations.values():
            # FastAPI writes a keyword of OpenAPI 3.2 into a document of 3.1.
            content = operation["responses"].get("200", {}).get("content", {})
            if "text/event-stream" in content:
                content["text/event-stream"] = EVENT_STREAM
            for status, answer in everywhere.items():
                if status in (401, 403) and not (protected and needs_credential(path)):
                    continue
                if status != 503 or path.startswith("/v1"):
                    operation["responses"].setdefault(str(status), answer)
    if protected:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document
