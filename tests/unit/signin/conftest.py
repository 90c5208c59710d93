from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Request

from ledger.api.app import create_app
from ledger.api.principal import principal_of
from ledger.api.signin.signin import SignIn
from ledger.node.roll import StaffRoll
from tests.support.chain_fixtures import consent, consortium, patient, pseudonym, service
from tests.support.signin import Clock, Issuer, make_signin, signin_settings

__all__ = ["consent", "consortium", "patient", "pseudonym", "service"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
def physician(consortium) -> str:
    """A physician of the East Hospital, whose employee number is 4711."""
    return consortium.people["east-physician"].id


@pytest.fixture
def settings():
    return signin_settings("east")


@pytest.fixture
def signin(
    service, tmp_path: Path, issuer: Issuer, clock: Clock, settings, physician: str
) -> Iterator[SignIn]:
    StaffRoll(tmp_path / "staff" / "roll.json").enter("4711", physician)
    made = make_signin(service, tmp_path, issuer, settings=settings, clock=clock)
    yield made
    made.close()


@pytest.fixture
def app(service, signin):
    app = create_app(service, signin=signin)
    echo = APIRouter()

    @echo.api_route("/v1/echo", methods=["GET", "POST"])
    @echo.api_route("/fhir/Echo", methods=["GET"])
    async def whoami(request: Request):
        found = principal_of(request)
        return {
            "kind": found.kind, "id": found.id, "institution": found.institution,
            "roles": found.roles, "scopes": found.scopes, "method": found.method,
            "session": found.session,
        }  # fmt: skip

    app.include_router(echo)
    return app


@pytest.fixture
async def web(app):
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 40_000))
    async with httpx.AsyncClient(
        transport=transport, base_url="https://ledger.east.example"
    ) as client:
        yield client
