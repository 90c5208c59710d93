"""What the OpenAPI document allows, sent to every path: no answer is a failure of the node, and
none has a status, a media type or a shape that the document does not have.

Requests come from schemathesis. Half of them ask for things that there are: without that, a path
with an id would be a test of its 404. More of them by the environment variable of the budget.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ledger.api.app import create_app
from ledger.client.builder import build, call
from tests.support.budget import REQUESTS
from tests.support.fhir import SignedIn
from tests.support.fhir_consents import People, consent

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
#: Answers of these never end.
ENDLESS = {"GET /v1/events"}


@schemathesis.serializer("application/msgpack")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


class Driven:
    """A node with something in it, and a caller who sends what was generated."""

    def __init__(self, service, people: People) -> None:
        self.service = service
        self.people = people
        self.app = create_app(service)
        self.face = SignedIn(self.app, people.patient)
        self.loop = asyncio.new_event_loop()
        transport = httpx.ASGITransport(app=self.face, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        self.known = self.loop.run_until_complete(self._filled())
        self.statuses: Counter[tuple[str, int]] = Counter()

    async def _filled(self) -> dict[str, list[str]]:
        """Values of path parameters that lead somewhere."""
        service, pieter = self.service, self.people.pieter
        told = call("consent", "grant", id="c-1", subject=pieter, scope={"purposes": ["TREAT"]})
        made = build(service.chain, 0, 100, [told], [self.people.accounts[pieter]])
        await service.submit([made.raw])
        await service.commit()
        proposed = await self.client.post(
            "/fhir/Consent", content=json.dumps(consent(pieter)),
            headers={"Content-Type": "application/fhir+json"},
        )  # fmt: skip
        assert proposed.status_code == 202, proposed.text
        return {
            "tx": [made.id.hex()],
            "height": ["0", "1", "latest"],
            "contract": ["consent", "registry", "governance"],
            "method": ["get", "whois", "institution", "decide"],
            "key": ["consents/c-1", f"people/{pieter}", "absent"],
            "id": ["c-1", proposed.json()["id"]],
            "vid": ["0", "1"],
        }

    def send(self, case, place: int) -> None:
        """Send a request and hold the answer against the document."""
        if place % 2 and case.path_parameters:
            for name in case.path_parameters:
                if name in self.known:
                    choices = self.known[name]
                    case.path_parameters[name] = choices[place // 2 % len(choices)]
        names = ("method", "url", "headers", "params", "json", "data", "cookies")
        parts = case.as_transport_kwargs(base_url="http://localhost")
        sent = requests.Request(**{name: parts[name] for name in names if name in parts}).prepare()
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        request = httpx.Request(
            str(sent.method), str(sent.url), headers={**sent.headers, "Host": "localhost"},
            content=body,
        )  # fmt: skip
        answer = self.loop.run_until_complete(self.client.send(request))
        self.statuses[case.operation.label, answer.status_code] += 1
        case.validate_response(Response.from_httpx(answer, verify=False), checks=CHECKS)

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()


@pytest.fixture
def driven(service, consortium, tmp_path):
    service.keep_lists(tmp_path / "lists.db")
    found = Driven(service, People(consortium, service))
    yield found
    found.close()


def drive(driven, operation):
    """Send what is generated for one operation."""
    places = iter(range(1_000_000))

    @settings(
        max_examples=REQUESTS, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def send(case):
        driven.send(case, next(places))

    send()


@pytest.mark.parametrize(("who", "where"), [("patient", "/"), ("registrar", "/fhir")])
def test_no_answer_is_a_failure_or_drifts_from_the_document(driven, who, where):
    driven.face.who = getattr(driven.people, who)
    schema = schemathesis.openapi.from_dict(driven.app.openapi())
    every = [found.ok() for found in schema.get_all_operations()]
    operations = [found for found in every if found.path.startswith(where)]
    assert len(operations) > 20
    for operation in operations:
        if operation.label in ENDLESS:
            continue
        drive(driven, operation)
    # It is no test of refusals alone: a part gets through.
    done = sum(count for (_, status), count in driven.statuses.items() if status < 300)
    assert done > len(operations) // 4
