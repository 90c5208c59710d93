import base64
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ledger.api.app import create_app
from ledger.api.passkeys.opening import open_desk
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.chain.codec import encode
from ledger.chain.transaction import Envelope
from ledger.crypto import hashing
from ledger.node.setup.passkeys import PasskeysSection
from ledger.node.setup.signin import SignInSection
from tests.support.authenticator import Authenticator
from tests.support.chain_fixtures import consent, consortium, patient, pseudonym, service
from tests.support.openapi import CheckedTransport
from tests.support.signin import Clock, make_signin

__all__ = ["consent", "consortium", "patient", "pseudonym", "service"]

URL = "http://localhost:8100"
NEWCOMER = "p-" + "a" * 32
SEEN = "5e" * 32
FORM = "f0" * 32


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


@dataclass
class As:
    """ASGI middleware: the caller is who the test says."""

    app: Any
    principal: Principal | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self.principal is not None:
            scope[SCOPE_KEY] = self.principal
        await self.app(scope, receive, send)


@dataclass
class Page:
    """What a patient's browser does with a node."""

    api: httpx.AsyncClient
    csrf: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        headers = {"Origin": URL, "X-CSRF-Token": self.csrf}
        answer = await self.api.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def sign_in(self, key: Authenticator, who: str, status: int = 200) -> Any:
        begun = await self.post("/auth/passkey/options", {})
        challenge = hashing.SIGN_IN(decoded(begun["nonce"]))
        assert (
            begun["options"]["challenge"]
            == base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        )
        credential = key.answer(challenge, who)
        body = {"nonce": begun["nonce"], "credential": credential}
        found = await self.post("/auth/passkey/verify", body, status)
        self.csrf = found.get("csrf", "")
        return found

    async def register(self, key: Authenticator, who: str, code: str) -> Any:
        given = {"subject": who, "code": code}
        begun = await self.post("/auth/passkey/registration/options", given)
        made = key.attestation(decoded(begun["nonce"]))
        prepared = await self.post(
            "/auth/passkey/registration/verify",
            {**given, "nonce": begun["nonce"], "credential": made},
        )
        signed = key.answer(hashing.TRANSACTION(base64.b64decode(prepared["body"])), who)
        return await self.post(
            "/auth/passkey/registration/confirm", {"id": prepared["id"], "credential": signed}
        )

    async def declare(self, key: Authenticator, act: dict[str, Any], **more: Any) -> Any:
        wish = {"key": key.public.hex(), "act": act, **more}
        prepared = await self.post("/v1/prepare", wish)
        body = base64.b64decode(prepared["body"])
        raw = encode(Envelope(body, (key.sign(hashing.TRANSACTION(body)),)))
        sent = {"transactions": [base64.b64encode(raw).decode()]}
        answer = await self.post("/v1/transactions?wait=5", sent)
        return prepared, answer["transactions"][0]["outcome"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signin(service, tmp_path, clock):
    made = make_signin(service, tmp_path, settings=SignInSection(url=URL), clock=clock)
    yield made
    made.close()


@pytest.fixture
def desk(signin, tmp_path, clock):
    return open_desk(
        PasskeysSection(), tmp_path / "signin", signin, now=clock.now, clock=clock.monotonic
    )


@pytest.fixture
def app(service, signin, desk):
    return create_app(service, signin=signin, passkeys=desk)


@pytest.fixture
async def api(app):
    async with httpx.AsyncClient(transport=CheckedTransport(app), base_url=URL) as client:
        yield client


@pytest.fixture
def page(api) -> Page:
    return Page(api)


@pytest.fixture
def hers() -> Authenticator:
    return Authenticator("hers")


@pytest.fixture
def registrar(consortium, service) -> Principal:
    """The registrar of the node's institution, whose key the node holds; and a physician's."""
    for label in ("east-governor", "east-physician"):
        service.custody[consortium.people[label].id] = consortium.account(label).key
    return staff(consortium, "east-governor", "registrar")


@pytest.fixture
def physician(consortium) -> Principal:
    return staff(consortium, "east-physician", "physician")


def staff(consortium, label: str, *roles: str) -> Principal:
    return Principal(Kind.STAFF, consortium.people[label].id, "east", roles, (), "s", "oidc")


class Counter:
    """The clinic's desk: each request is of whom the test names."""

    def __init__(self, app: Any) -> None:
        self._as = As(app)
        transport = CheckedTransport(app)
        transport._served = httpx.ASGITransport(app=self._as, raise_app_exceptions=False)
        self._api = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def ask(
        self, who: Principal | None, method: str, path: str, body: Any = None, status: int = 200
    ) -> Any:
        self._as.principal = who
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer = await self._api.request(method, path, content=content, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def enrols(self, registrar: Principal, subject: str = NEWCOMER) -> str:
        given = {"subject": subject, "document": "resident-card", "evidence": SEEN}
        done = await self.ask(registrar, "POST", "/v1/desk/enrolments", given)
        code: str = done["code"]
        return code


@pytest.fixture
def counter(app) -> Counter:
    return Counter(app)
