from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from ledger.api import operations, problems
from ledger.api.exchange import reply
from ledger.api.fhir import errors as fhir_errors
from ledger.api.guard import Guard
from ledger.api.principal import principal_of
from ledger.api.signin import routes
from ledger.api.signin.cookies import is_secure
from ledger.api.signin.gate import Gate
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
    """What stands before the routes, with few routes behind it: making all of them takes long."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    echo = APIRouter()

    @echo.api_route("/v1/echo", methods=["GET", "POST"], response_model=None)
    @echo.get("/fhir/Echo", response_model=None)
    async def whoami(request: Request) -> Response:
        found = principal_of(request)
        return reply(
            {
                "kind": found.kind, "id": found.id, "institution": found.institution,
                "roles": found.roles, "scopes": found.scopes, "method": found.method,
                "session": found.session,
            }
        )  # fmt: skip

    app.include_router(echo)
    app.include_router(operations.router(service))
    app.include_router(routes.router(signin))
    problems.install(app, service.damaged)
    app.state.signin = signin
    app.add_middleware(Gate, signin=signin)
    app.add_middleware(Guard, loopback=False, secure=is_secure(signin.url))
    app.add_middleware(fhir_errors.OutcomeFace)
    return app


@pytest.fixture
async def web(app):
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 40_000))
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, base_url="https://ledger.east.example"
    ) as client:
        yield client
