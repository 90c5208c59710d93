"""Signing in with a browser: the code flow, its cookie, and what strangers try with it."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ledger.api.app import create_app
from ledger.api.signin import login, throttle
from ledger.api.signin.login import may_return_to
from ledger.node.roll import StaffRoll
from tests.support.identity_provider import NODE_CLIENT, NODE_SECRET, PORTAL, real_provider
from tests.support.signin import ISSUER, URL, make_signin, signin_settings

SESSION, PENDING = "__Host-health-ledger", "__Host-health-ledger-login"


@pytest.fixture
def settings():
    provider = {"client": "node", "client_secret": "client-secret"}
    return signin_settings("east", provider=provider, return_to=["https://portal.example/start"])


@pytest.fixture(autouse=True)
def endpoints(issuer, tmp_path, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_FAILURES", 10**6)
    (tmp_path / "client-secret").write_text("s e+c%ret\n")
    issuer.discovery |= {
        "authorization_endpoint": f"{ISSUER}/authorize", "token_endpoint": f"{ISSUER}/token",
    }  # fmt: skip


async def begin(web, **asked) -> dict[str, str]:
    """Begin; what the provider is asked."""
    answer = await web.get("/auth/login", params=asked)
    assert answer.status_code == 303, answer.text
    location = urlsplit(answer.headers["location"])
    assert answer.headers["location"].startswith(f"{ISSUER}/authorize?")
    return {name: values[0] for name, values in parse_qs(location.query).items()}


def answer_with(issuer, asked, **changes) -> None:
    token = issuer.token(aud="node", **{"nonce": asked["nonce"], **changes})
    issuer.answers[f"{ISSUER}/token"] = json.dumps({"id_token": token}).encode()


async def sign_in(web, issuer, **asked):
    begun = await begin(web, **asked)
    answer_with(issuer, begun)
    return await web.get("/auth/callback", params={"code": "c", "state": begun["state"]})


async def test_a_person_signs_in_works_and_signs_out(web, issuer, signin, physician):
    answer = await sign_in(web, issuer, return_to="/desk?day=1")
    assert answer.status_code == 200
    assert 'content="0; url=/desk?day=1"' in answer.text
    cookies = answer.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith(f"{SESSION}=")]
    for part in ("Path=/", "HttpOnly", "SameSite=Strict", "Secure"):
        assert part in session.split("; ")
    assert "Domain" not in session
    who = (await web.get("/auth/session")).json()
    assert (who["id"], who["kind"], who["method"]) == (physician, "staff", "oidc")
    assert (await web.get("/v1/echo")).json()["roles"] == ["physician", "emergency-physician"]
    headers = {"X-CSRF-Token": who["csrf"]}
    kept = dict(web.cookies)
    assert (await web.post("/auth/logout", headers=headers)).status_code == 204
    web.cookies.update(kept)
    assert (await web.get("/v1/echo")).status_code == 401
    events = [entry["event"] for entry in signin.journal.entries()]
    assert events == ["signed-in", "signed-out", "refused"]


async def test_the_provider_is_asked_with_state_nonce_and_a_challenge_that_differ_each_time(web):
    first, second = await begin(web), await begin(web)
    assert first["redirect_uri"] == f"{URL}/auth/callback"
    assert first["code_challenge_method"] == "S256"
    assert first["response_type"] == "code"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


async def test_the_code_is_exchanged_with_the_verifier_and_the_secret(web, issuer, signin):
    seen = []
    fetch = issuer.fetch

    async def watched(url, form, login):
        seen.append((url, form, login))
        return await fetch(url, form, login)

    signin.logins._fetch = watched
    await sign_in(web, issuer)
    ((url, form, credential),) = seen
    assert url == f"{ISSUER}/token"
    assert form["grant_type"] == "authorization_code"
    assert credential == ("node", "s%20e%2Bc%25ret")  # form-encoded as RFC 6749 has it


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "another"}, {"nonce": None}, {"nonce": 1}, {"aud": "health-ledger"},
        {"aud": ["node", "other"], "azp": "other"}, {"iss": "https://id.west.example"},
        {"exp": 1}, {"sub": "4712"},
    ],
)  # fmt: skip
async def test_an_id_token_of_another_sign_in_or_client_signs_nobody_in(web, issuer, changes):
    begun = await begin(web)
    issuer.answers[f"{ISSUER}/token"] = json.dumps(
        {"id_token": issuer.token(**{"aud": "node", "nonce": begun["nonce"], **changes})}
    ).encode()
    answer = await web.get("/auth/callback", params={"code": "c", "state": begun["state"]})
    assert answer.status_code == 400
    assert SESSION not in web.cookies
    assert PENDING not in web.cookies


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"id_token":1}', b'{"id_token":"x"}', b'{"a":1,"a":2}', b"\xff"]
)
async def test_an_answer_of_the_token_endpoint_that_is_none_signs_nobody_in(web, issuer, body):
    begun = await begin(web)
    issuer.answers[f"{ISSUER}/token"] = body
    answer = await web.get("/auth/callback", params={"code": "c", "state": begun["state"]})
    assert answer.status_code in (400, 503)
    assert SESSION not in web.cookies


async def test_another_browser_cannot_end_a_sign_in_nor_this_one_twice(web, app, issuer):
    begun = await begin(web)
    answer_with(issuer, begun)
    back = {"code": "c", "state": begun["state"]}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, trust_env=False, base_url=URL) as other:
        assert (await other.get("/auth/callback", params=back)).status_code == 400
        await begin(other)
        assert (await other.get("/auth/callback", params=back)).status_code == 400
    for wrong in ({"code": "c", "state": "x"}, {"code": "c"}, {"state": begun["state"]}, {}):
        kept = web.cookies[PENDING]
        answer = await web.get("/auth/callback", params=wrong)
        assert answer.status_code == 400
        web.cookies.set(PENDING, kept, domain="ledger.east.example")
    assert (await web.get("/auth/callback", params=back)).status_code == 200
    assert (await web.get("/auth/callback", params=back)).status_code == 400


async def test_an_answer_of_another_issuer_is_not_taken(web, issuer):
    begun = await begin(web)
    answer_with(issuer, begun)
    back = {"code": "c", "state": begun["state"], "iss": "https://evil.example"}
    assert (await web.get("/auth/callback", params=back)).status_code == 400


async def test_a_sign_in_that_takes_too_long_has_to_begin_again(web, issuer, clock):
    begun = await begin(web)
    clock.advance(login.PATIENCE_S + 1)
    answer_with(issuer, begun)
    back = {"code": "c", "state": begun["state"]}
    assert (await web.get("/auth/callback", params=back)).status_code == 400


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "https://portal.example/start2", "https://portal.example/", "javascript:alert(1)",
        "data:text/html,x", "http:evil.example", "/a\r\nSet-Cookie: x=y", "/\t/evil.example", "",
        "desk", "/ä", "https://portal.example/start?x=1", "///evil.example",
    ],
)  # fmt: skip
async def test_nobody_is_sent_on_to_somewhere_else(web, place):
    assert not may_return_to(place, ["https://portal.example/start"])
    if place:
        answer = await web.get("/auth/login", params={"return_to": place})
        assert answer.status_code == 400


@pytest.mark.parametrize("place", ["/", "/desk", "/a?b=https://x", "https://portal.example/start"])
def test_one_may_be_sent_on_to_own_pages_and_named_addresses(place):
    assert may_return_to(place, ["https://portal.example/start"])


async def test_what_a_page_shows_cannot_be_markup(web, issuer):
    answer = await sign_in(web, issuer, return_to='/x?"><script>alert(1)</script>')
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].count("default-src") == 1


async def test_endpoints_on_another_host_are_not_used(web, issuer):
    issuer.discovery["authorization_endpoint"] = "https://evil.example/authorize"
    assert (await web.get("/auth/login")).status_code == 503


async def test_without_a_provider_for_browsers_there_is_no_sign_in(web):
    assert (await web.get("/auth/login", params={"institution": "west"})).status_code == 400


# --- with a provider that others made ------------------------------------------------------------


@pytest.fixture
def real(unused_tcp_port_factory):
    with real_provider(unused_tcp_port_factory(), f"{URL}/auth/callback") as provider:
        yield provider


@pytest.fixture
async def hospital(real, service, tmp_path, physician):
    """A node whose provider is the real one, with a clock that is right."""
    import time

    (tmp_path / "client-secret").write_text(NODE_SECRET)
    StaffRoll(tmp_path / "staff" / "roll.json").enter("e-4711", physician)
    described = {
        "issuer": real.issuer, "audience": PORTAL, "person": "employee_number",
        "client": NODE_CLIENT, "client_secret": "client-secret",
    }  # fmt: skip
    settings = signin_settings("east", provider=described)
    from ledger.api.signin import outgoing
    from ledger.api.signin.signin import SignIn

    made = make_signin(service, tmp_path, settings=settings)
    made.close()
    signin = SignIn(
        settings, tmp_path / "signin", service, StaffRoll(tmp_path / "staff" / "roll.json"),
        url=URL, fetch=outgoing.fetch, now=time.time,
    )  # fmt: skip
    transport = httpx.ASGITransport(app=create_app(service, signin=signin))
    async with httpx.AsyncClient(transport=transport, trust_env=False, base_url=URL) as client:
        yield client
    signin.close()


async def test_a_physician_signs_in_through_a_real_provider(hospital, real, physician):
    import asyncio

    begun = await hospital.get("/auth/login", params={"return_to": "/auth/session"})
    back = await asyncio.to_thread(real.sign_in, begun.headers["location"], "e-4711")
    answer = await hospital.get(back)
    assert answer.status_code == 200, answer.text
    who = (await hospital.get("/auth/session")).json()
    assert (who["id"], who["institution"]) == (physician, "east")
    assert "physician" in who["roles"]


async def test_a_portal_presents_the_token_of_a_real_provider(hospital, real, physician):
    import asyncio

    token = await asyncio.to_thread(real.token, "e-4711")
    answer = await hospital.get("/auth/session", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["id"] == physician
    unknown = await asyncio.to_thread(real.token, "e-4712")
    answer = await hospital.get("/auth/session", headers={"Authorization": f"Bearer {unknown}"})
    assert answer.status_code == 401
