"""The whole application under ``/fhir``: whoever refuses, it is in FHIR's words."""

import httpx
import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from openapi_spec_validator import validate

from ledger.api.app import create_app
from tests.support.openapi import CheckedTransport


async def test_the_statement_is_there_for_everybody(api):
    answer = await api.get("/fhir/metadata")
    assert answer.status_code == 200
    CapabilityStatement.model_validate(answer.json())


@pytest.mark.parametrize(
    ("path", "status"), [("/fhir", 405), ("/fhir/Nothing", 404), ("/fhir/Nothing/1/2/3/4", 404)]
)
async def test_no_answer_leaves_as_problem_details(api, path, status):
    answer = await api.get(path)
    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json())


async def test_what_refuses_before_the_routes_is_translated_too(app):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://elsewhere.example"
    ) as client:
        under = await client.get("/fhir/metadata")
        beside = await client.get("/fhirs")
    assert under.status_code == beside.status_code == 421
    OperationOutcome.model_validate(under.json())
    assert under.headers["x-content-type-options"] == "nosniff"
    assert beside.headers["content-type"] == "application/problem+json"


async def test_the_url_from_outside_can_be_told(service):
    app = create_app(service, public_url="https://ledger.burgers.example/")
    async with httpx.AsyncClient(
        transport=CheckedTransport(app), base_url="http://localhost"
    ) as client:
        statement = (await client.get("/fhir/metadata")).json()
    assert statement["implementation"]["url"] == "https://ledger.burgers.example/fhir"


def test_the_openapi_document_with_it_is_valid(app):
    validate(app.openapi())
