"""Holds every answer of the API against the API's own OpenAPI document."""

import re
from typing import Any, ClassVar

import httpx
import jsonschema
from fastapi import FastAPI

ANSWERED_BEFORE_ROUTING = {401, 403, 404, 405, 421, 429, 500}


def path_pattern(path: str) -> re.Pattern[str]:
    """What a path template of the document matches; a state key may have slashes."""
    plain = re.escape(path).replace(r"\{key\}", ".+")
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", plain))


class CheckedTransport(httpx.AsyncBaseTransport):
    """Serves an app in this process; an answer that its document does not describe is an error."""

    #: Making it is slow, and it depends on nothing but whether the app asks for a token.
    _documents: ClassVar[dict[tuple[bool, int], dict[str, Any]]] = {}

    def __init__(self, app: FastAPI, *, guarded: bool = False) -> None:
        self._served = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        kind = (guarded, len(app.routes))
        if kind not in self._documents:
            self._documents[kind] = app.openapi()
        self._document = self._documents[kind]
        self._paths = [(path_pattern(path), path) for path in self._document["paths"]]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._served.handle_async_request(request)
        await response.aread()
        self.check(request, response)
        return response

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        for pattern, path in self._paths:
            if pattern.fullmatch(request.url.path):
                operation: dict[str, Any] | None = self._document["paths"][path].get(
                    request.method.lower()
                )
                return operation
        return None

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0]
        operation = self._operation(request)
        if operation is None:
            assert response.status_code in ANSWERED_BEFORE_ROUTING
            words = "OperationOutcome" if request.url.path.startswith("/fhir") else "Problem"
            self.validate(response.json(), {"$ref": f"#/components/schemas/{words}"})
            return
        described = operation["responses"]
        assert str(response.status_code) in described, (response.status_code, response.text)
        content = described[str(response.status_code)].get("content", {})
        if not content:
            assert not response.content
            return
        assert kind in content or "*/*" in content, (kind, list(content))
        if kind in content and kind.endswith("json"):
            self.validate(response.json(), content[kind]["schema"])

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self._document["components"]}
        jsonschema.validate(value, whole, jsonschema.Draft202012Validator)
