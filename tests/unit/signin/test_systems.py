"""Systems that sign in by themselves, and what does not get them a token."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from joserfc.jwk import ECKey, RSAKey

from ledger.api.signin import keysets, systems
from ledger.api.signin.clients import Client, ClientsUnusable, check
from ledger.api.signin.signin import TOKEN_RATE
from ledger.api.signin.systems import ASSERTION_TYPE
from ledger.chain.transaction import Call
from tests.support.signin import NOW, URL, Issuer

TOKEN = f"{URL}/auth/token"
KEYS = "https://pacs.east.example/keys"


@pytest.fixture(scope="module")
def key() -> ECKey:
    return ECKey.generate_key("P-384", {"kid": "k1"})


@pytest.fixture
def pacs(clock, key) -> Issuer:
    """A picture archive, with the key that it is registered with."""
    made = Issuer(clock, "pacs")
    made.keys = [key]
    return made


@pytest.fixture(autouse=True)
def registered(signin, key, pacs):
    own = {"keys": [key.as_dict(private=False)]}
    signin.systems.clients.register(Client("pacs", "east", "system/*.rs", jwks=own))


def assertion(pacs, key=None, algorithm="ES384", header=None, **changes) -> str:
    claims = {"sub": "pacs", "aud": TOKEN, "jti": "j1", "iat": None, **changes}
    return pacs.token(key, algorithm, header, **claims)


async def ask(web, given, scope="system/DocumentReference.rs", **changes):
    form = {
        "grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": given, "scope": scope, **changes,
    }  # fmt: skip
    return await web.post("/auth/token", data={k: v for k, v in form.items() if v is not None})


def why(signin) -> str:
    return signin.journal.entries()[-1]["why"]


async def test_a_system_gets_a_token_for_five_minutes_and_uses_it(web, pacs, clock, signin):
    answer = await ask(web, assertion(pacs))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["token_type"], found["expires_in"]) == ("bearer", 300)
    assert found["scope"] == "system/DocumentReference.rs"
    bearer = {"Authorization": f"Bearer {found['access_token']}"}
    who = (await web.get("/fhir/Echo", headers=bearer)).json()
    assert (who["kind"], who["id"], who["institution"]) == ("system", "pacs", "east")
    assert who["scopes"] == ["system/DocumentReference.rs"]
    assert who["roles"] == []
    clock.advance(301)
    assert (await web.get("/fhir/Echo", headers=bearer)).status_code == 401
    log = json.dumps(signin.journal.entries())
    assert found["access_token"] not in log


async def test_an_access_token_is_no_cookie_and_a_cookie_no_access_token(web, pacs):
    token = (await ask(web, assertion(pacs))).json()["access_token"]
    web.cookies.set("__Host-health-ledger", token, domain="ledger.east.example")
    assert (await web.get("/fhir/Echo")).status_code == 401


async def test_rsa_keys_sign_as_well(web, clock, signin):
    rsa = RSAKey.generate_key(2048, {"kid": "r"})
    ris = Issuer(clock, "ris")
    own = {"keys": [rsa.as_dict(private=False)]}
    signin.systems.clients.register(Client("ris", "east", "system/*.rs", jwks=own))
    given = assertion(ris, rsa, "RS384", sub="ris")
    assert (await ask(web, given)).status_code == 200
    given = assertion(ris, rsa, "RS256", sub="ris", jti="j2")
    assert (await ask(web, given)).status_code == 401
    assert why(signin) == "algorithm"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": URL}, "audience"),
        ({"aud": f"{TOKEN}/"}, "audience"),
        ({"aud": "http://ledger.east.example/auth/token"}, "audience"),
        ({"iss": "ris"}, "unknown-client"),
        ({"iss": "../pacs"}, "unknown-client"),
        ({"iss": None}, "claim"),
        ({"sub": "ris"}, "claim"),
        ({"sub": None}, "claim"),
        ({"jti": None}, "claim"),
        ({"jti": ""}, "claim"),
        ({"jti": 7}, "claim"),
        ({"jti": "x" * 257}, "claim"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": NOW + 600}, "too-long-lived"),
        ({"exp": NOW + 600, "iat": NOW + 50}, "too-long-lived"),
        ({"exp": NOW + 300, "iat": NOW - 300}, "too-long-lived"),
        ({"exp": None}, "claim"),
        ({"nbf": NOW + 100}, "not-yet-valid"),
    ],
)
async def test_an_assertion_with_a_wrong_claim_gets_nothing(web, pacs, signin, changes, reason):
    answer = await ask(web, assertion(pacs, **changes))
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert why(signin) == reason


async def test_an_assertion_is_good_once_also_after_a_restart(web, pacs, signin, clock):
    given = assertion(pacs)
    assert (await ask(web, given)).status_code == 200
    assert (await ask(web, given)).status_code == 401
    assert why(signin) == "replayed"
    signin._engine.dispose()  # what is remembered is on the disk
    assert (await ask(web, given)).status_code == 401
    clock.advance(200)
    assert (await ask(web, assertion(pacs, jti="j1"))).status_code == 401
    assert (await ask(web, assertion(pacs, jti="j2"))).status_code == 200


async def test_a_forged_assertion_does_not_use_up_the_name_of_a_good_one(web, pacs, signin):
    stranger = ECKey.generate_key("P-384", {"kid": "k1"})
    assert (await ask(web, assertion(pacs, stranger))).status_code == 401
    assert why(signin) == "signature"
    assert (await ask(web, assertion(pacs))).status_code == 200


async def test_two_systems_may_use_the_same_name_of_an_assertion(web, pacs, clock, signin, key):
    other = ECKey.generate_key("P-384", {"kid": "k1"})
    own = {"keys": [other.as_dict(private=False)]}
    signin.systems.clients.register(Client("ris", "east", "system/*.rs", jwks=own))
    ris = Issuer(clock, "ris")
    assert (await ask(web, assertion(pacs))).status_code == 200
    assert (await ask(web, assertion(ris, other, sub="ris"))).status_code == 200
    assert (await ask(web, assertion(ris, key, sub="ris", jti="j3"))).status_code == 401


async def test_nothing_that_an_assertion_names_is_fetched(web, pacs, signin, issuer):
    for header in (
        {"jku": "https://evil.example/keys"}, {"jku": "http://169.254.169.254/latest"},
        {"x5u": "https://evil.example/cert"}, {"jku": KEYS},
    ):  # fmt: skip
        assert (await ask(web, assertion(pacs, header=header))).status_code == 401
    assert issuer.fetched == []


async def test_keys_are_fetched_from_the_registered_address_and_follow_a_rotation(
    web, pacs, clock, signin, issuer
):
    signin.systems.clients.register(Client("pacs", "east", "system/*.rs", jwks_url=KEYS))
    own = [pacs.keys[0].as_dict(private=False)]
    issuer.answers[KEYS] = json.dumps({"keys": own}).encode()
    assert (await ask(web, assertion(pacs, header={"jku": KEYS}))).status_code == 200
    fresh = ECKey.generate_key("P-384", {"kid": "k2"})
    issuer.answers[KEYS] = json.dumps({"keys": [fresh.as_dict(private=False)]}).encode()
    assert (await ask(web, assertion(pacs, fresh, jti="j2"))).status_code == 401
    clock.advance(keysets.LEAST_PAUSE_S)
    assert (await ask(web, assertion(pacs, fresh, jti="j3"))).status_code == 200
    assert (await ask(web, assertion(pacs, jti="j4"))).status_code == 401
    assert set(issuer.fetched) == {KEYS}


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("system/Consent.cruds", "system/Consent.rs"),
        ("system/*.rs", "system/*.rs"),
        ("system/Consent.read openid", "system/Consent.rs"),
        ("system/Consent.rs system/AuditEvent.s", "system/AuditEvent.s system/Consent.rs"),
        ("system/Consent.c", None),
        ("user/Consent.rs", None),
        ("patient/*.rs", None),
        ("system/Consent.sr", None),
        ("", None),
        (None, None),
        ("system/" + "x" * 5000, None),
    ],
)
async def test_a_token_has_no_more_scopes_than_are_registered(web, pacs, scope, granted):
    answer = await ask(web, assertion(pacs), scope)
    if granted is None:
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_scope"})
    else:
        assert answer.json()["scope"] == granted


async def test_what_is_taken_from_a_registration_is_taken_from_its_tokens(web, pacs, signin, key):
    token = (await ask(web, assertion(pacs), "system/*.rs")).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    own = {"keys": [key.as_dict(private=False)]}
    signin.systems.clients.register(Client("pacs", "east", "system/Consent.r", jwks=own))
    who = (await web.get("/fhir/Echo", headers=bearer)).json()
    assert who["scopes"] == ["system/Consent.r"]
    signin.systems.clients.remove("pacs")
    assert (await web.get("/fhir/Echo", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, "invalid_request"),
        ({"client_assertion": None}, "invalid_client"),
        ({"client_assertion": "x" * 20_000}, "invalid_client"),
    ],
)
async def test_requests_of_another_form_are_refused(web, pacs, changes, error):
    answer = await ask(web, assertion(pacs), **changes)
    assert answer.json() == {"error": error}


@pytest.mark.parametrize(
    "body",
    [b"", b"grant_type=client_credentials&grant_type=client_credentials", b"a", b"\xff=1",
     b"&".join(b"a%d=1" % n for n in range(40)), b"grant_type=%ff"],
)  # fmt: skip
async def test_a_form_that_cannot_be_read_or_repeats_itself_is_refused(web, body):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await web.post("/auth/token", content=body, headers=kind)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "unsupported_grant_type")


async def test_bodies_are_bounded_and_of_one_media_type(web, pacs):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await web.post("/auth/token", content=b"a" * 40_000, headers=kind)
    assert answer.status_code == 413
    body = urlencode({"grant_type": "client_credentials"}).encode()
    answer = await web.post("/auth/token", content=body, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_tokens_are_not_asked_for_without_end(web, pacs):
    answers = [(await ask(web, "x")).status_code for _ in range(TOKEN_RATE + 1)]
    assert answers == [401] * TOKEN_RATE + [429]


async def test_a_system_of_an_institution_that_left_gets_nothing(web, pacs, signin, monkeypatch):
    monkeypatch.setattr(signin.standing, "has_left", lambda institution: institution == "east")
    assert (await ask(web, assertion(pacs))).status_code == 401
    assert why(signin) == "not-certified"


@pytest.mark.parametrize("place", ["/.well-known/smart-configuration",
                                   "/fhir/.well-known/smart-configuration"])  # fmt: skip
async def test_systems_learn_how_to_sign_in(web, place):
    found = (await web.get(place)).json()
    assert found["token_endpoint"] == TOKEN
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert "client-confidential-asymmetric" in found["capabilities"]
    assert set(systems.ALGORITHMS) == set(found["token_endpoint_auth_signing_alg_values_supported"])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""}, {"id": "a b"}, {"id": "../x"}, {"id": "x" * 65}, {"scopes": ""},
        {"scopes": "user/*.rs"}, {"scopes": "system/*.sr"}, {"jwks": None},
        {"jwks": {"keys": []}}, {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks_url": KEYS}, {"jwks": None, "jwks_url": "http://pacs.example/keys"},
        {"jwks": None, "jwks_url": "file:///etc/passwd"},
        {"jwks": None, "jwks_url": "https://user@pacs.example/keys"},
    ],
)  # fmt: skip
def test_a_registration_that_is_wrong_is_refused(key, changes):
    good = {
        "id": "pacs", "institution": "east", "scopes": "system/*.rs",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }  # fmt: skip
    check(Client(**good))
    with pytest.raises(ValueError):
        check(Client(**{**good, **changes}))


def test_a_file_that_somebody_broke_lets_nobody_in(signin, tmp_path):
    path = tmp_path / "signin" / "clients.json"
    text = path.read_text()
    for broken in ("{", text.replace("system/", "user/"), text.replace("clients-1", "clients-9")):
        path.write_text(broken)
        with pytest.raises(ClientsUnusable):
            signin.systems.clients.listed()


async def test_a_system_acts_for_nobody(web, pacs, service):
    from ledger.node.custody import NoHeldKey

    token = (await ask(web, assertion(pacs))).json()["access_token"]
    assert (
        await web.get("/v1/blocks", headers={"Authorization": f"Bearer {token}"})
    ).status_code == 403
    with pytest.raises(NoHeldKey):
        await service.act("pacs", [Call("registry", "revoke", {})])
