from __future__ import annotations

from typing import Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI

from ledger.api import problems
from ledger.api.app import create_app
from ledger.api.fhir import errors, facade
from ledger.api.fhir.auditevents import AuditEvents
from ledger.api.fhir.consentoffer import consent_offer
from ledger.api.fhir.records import record_offers
from ledger.api.principal import Kind
from ledger.chain.genesis import read_genesis
from ledger.client.verify import trust_in
from tests.support.fhir import SignedIn, principal
from tests.support.fhir_sources import Hospitals
from tests.support.openapi import CheckedTransport, path_pattern


@pytest.fixture
def trust(consortium):
    return trust_in(read_genesis(consortium.home / "genesis.json"))


@pytest.fixture
def hospitals(service, consortium):
    people = consortium.people
    for key in ("east-physician", "south-physician"):
        service.custody[people[key].id] = consortium.account(key).key
    return Hospitals(service, consortium)


@pytest.fixture
def physician(consortium):
    """Of the East Hospital, at whose node all of this happens."""
    person = consortium.people["east-physician"]
    return principal(Kind.STAFF, person.id, "east", "physician", "emergency-physician")


@pytest.fixture
def herself(pseudonym):
    return principal(Kind.PATIENT, pseudonym)


@pytest.fixture
def signed_in(service, hospitals, physician):
    app = FastAPI(redirect_slashes=False)
    offers = [
        consent_offer(service),
        *record_offers(service, hospitals),
        AuditEvents(service).offer(),
    ]
    app.include_router(facade.router(offers, service))
    problems.install(app, lambda _: None)
    errors.install(app)
    app.add_middleware(errors.OutcomeFace)
    return SignedIn(app, physician)


class Described(CheckedTransport):
    """Holds every answer against the OpenAPI document of the whole application."""

    _whole: ClassVar[dict[str, Any]] = {}

    def __init__(self, signed_in, service):
        if not self._whole:
            self._whole.update(create_app(service).openapi())
        self._served = httpx.ASGITransport(app=signed_in, raise_app_exceptions=False)
        self._document = self._whole
        self._paths = [(path_pattern(path), path) for path in self._whole["paths"]]


@pytest.fixture
async def fhir(signed_in, service):
    transport = Described(signed_in, service)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/fhir/") as client:
        yield client
