"""Staff who sign in with a token of their hospital's provider, and everybody who tries to."""

from __future__ import annotations

import hashlib
import hmac
import json
import warnings

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, RSAKey

from ledger.api.signin import keysets, throttle
from ledger.api.signin.jose import MAX_TOKEN
from tests.support.signin import AUDIENCE, ISSUER, NOW, b64, forged, signin_settings


@pytest.fixture(autouse=True)
def patient_node(monkeypatch):
    """A node that does not make an address wait after failures; see test_guards for that."""
    monkeypatch.setattr(throttle, "FREE_FAILURES", 10**6)


async def ask(web, token, path="/v1/echo"):
    return await web.get(path, headers={"Authorization": f"Bearer {token}"})


def why(signin) -> str:
    """Why the last one was refused, as the log has it."""
    return signin.journal.entries()[-1]["why"]


async def test_a_token_of_the_provider_makes_a_certified_member_of_staff(web, issuer, physician):
    answer = await ask(web, issuer.token())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["id"] == physician
    assert (found["kind"], found["institution"], found["method"]) == ("staff", "east", "oidc")
    assert found["roles"] == ["physician", "emergency-physician"]
    assert found["scopes"] == ["user/*.rs"]


async def test_what_the_log_calls_a_sign_in_does_not_give_the_token_away(web, issuer, signin):
    token = issuer.token()
    session = (await ask(web, token)).json()["session"]
    await ask(web, token)
    (entry,) = signin.journal.entries()
    assert (entry["event"], entry["session"]) == ("signed-in", session)
    assert entry["address"] == "192.0.2.7"
    assert not any(part in json.dumps(entry) for part in token.split("."))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "third"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": {AUDIENCE: 1}}, "audience"),
        ({"aud": [AUDIENCE, 1]}, "audience"),
        ({"aud": AUDIENCE.upper()}, "audience"),
        ({"iss": "https://id.east.example/"}, "issuer"),
        ({"iss": "https://id.west.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": None}, "claim"),
        ({"exp": str(NOW + 100)}, "claim"),
        ({"exp": True}, "claim"),
        ({"exp": -1}, "claim"),
        ({"exp": 10**30}, "claim"),
        ({"exp": NOW + 13 * 3600}, "too-long-lived"),
        ({"nbf": NOW + 61}, "not-yet-valid"),
        ({"nbf": "soon"}, "claim"),
        ({"iat": NOW + 61}, "not-yet-valid"),
        ({"iat": None}, "claim"),
        ({"iat": NOW - 20 * 3600}, "too-long-lived"),
        ({"sub": None}, "claim"),
        ({"sub": ""}, "claim"),
        ({"sub": 4711}, "claim"),
        ({"sub": "4712"}, "unknown-person"),
        ({"sub": "４７１１"}, "unknown-person"),
        ({"sub": "4711 "}, "unknown-person"),
        ({"sub": "4711\u200b"}, "claim"),
        ({"sub": "4711\n"}, "claim"),
        ({"sub": "x" * 257}, "claim"),
        ({"scope": "user/Consent.sr"}, "scope"),
    ],
)
async def test_a_token_with_a_wrong_claim_signs_nobody_in(web, issuer, signin, changes, reason):
    answer = await ask(web, issuer.token(**changes))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert why(signin) == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["another", AUDIENCE]}, {"exp": NOW - 59}, {"exp": NOW + 100.5},
        {"nbf": NOW + 59}, {"iat": NOW + 59}, {"extra": {"deep": [[[1]]]}},
    ],
)  # fmt: skip
async def test_clocks_may_differ_a_little_and_other_claims_do_no_harm(web, issuer, changes):
    assert (await ask(web, issuer.token(**changes))).status_code == 200


async def test_no_token_is_believed_that_is_not_signed(web, issuer, signin):
    payload = json.dumps(issuer.claims()).encode()
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, ["none"], 0):
        for signature in (b"", b"x"):
            token = forged({"alg": algorithm, "typ": "JWT"}, payload, signature)
            assert (await ask(web, token)).status_code == 401
    assert {entry["why"] for entry in signin.journal.entries()} == {"malformed", "algorithm"}


async def test_a_public_key_is_no_secret_of_a_symmetric_algorithm(web, issuer, signin):
    rsa = issuer.rsa()
    pem = rsa.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    shared = [pem, pem.strip(), json.dumps(rsa.as_dict(private=False)).encode(), b"", b"\0" * 32]
    for name, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384)):
        for secret in shared:
            signing = f"{b64(json.dumps({'alg': name, 'kid': 'rsa'}).encode())}." + b64(
                json.dumps(issuer.claims()).encode()
            )
            mac = hmac.new(secret, signing.encode(), digest).digest()
            assert (await ask(web, f"{signing}.{b64(mac)}")).status_code == 401
            assert why(signin) == "algorithm"


async def test_a_symmetric_key_that_a_provider_publishes_is_not_used(web, issuer, signin):
    secret = b"k" * 32
    issuer.more.append({"kty": "oct", "kid": "oct", "k": b64(secret), "alg": "ES256"})
    payload = json.dumps(issuer.claims()).encode()
    for algorithm, reason in (("HS256", "algorithm"), ("ES256", "unknown-key")):
        signing = f"{b64(json.dumps({'alg': algorithm, 'kid': 'oct'}).encode())}.{b64(payload)}"
        mac = hmac.new(secret, signing.encode(), hashlib.sha256).digest()
        assert (await ask(web, f"{signing}.{b64(mac)}")).status_code == 401
        assert why(signin) == reason


async def test_an_algorithm_has_to_fit_the_key_and_be_allowed(web, issuer, signin):
    rsa = issuer.rsa(alg="RS256")
    assert (await ask(web, issuer.token(rsa, "RS256"))).status_code == 200
    unnamed = RSAKey.import_key({k: v for k, v in rsa.as_dict(private=True).items() if k != "alg"})
    assert (await ask(web, issuer.token(unnamed, "PS256"))).status_code == 401
    assert why(signin) == "unknown-key"  # that key is for another algorithm
    assert (await ask(web, issuer.token(unnamed, "RS512"))).status_code == 401
    assert why(signin) == "algorithm"
    good = issuer.token()
    header = json.dumps({"alg": "ES384", "kid": "first"}).encode()
    _, payload, signature = good.split(".")
    assert (await ask(web, f"{b64(header)}.{payload}.{signature}")).status_code == 401
    assert why(signin) == "unknown-key"


async def test_a_token_does_not_bring_its_own_key(web, issuer, signin):
    mine = ECKey.generate_key("P-256", {"kid": "first"})
    extras = [
        {"jwk": mine.as_dict(private=False)}, {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"}, {"x5c": ["MIIB"]}, {"crit": ["exp"]},
        {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}, {"typ": "dpop+jwt"}, {"typ": 1},
        {"kid": 1}, {"kid": ""}, {"kid": "k" * 257},
    ]  # fmt: skip
    for extra in extras:
        for key in (mine, None):
            payload = json.dumps(issuer.claims()).encode()
            first = {"alg": "ES256", "kid": "first", **extra}
            signer = key or issuer.keys[0]
            token = sign_raw(first, payload, signer)
            assert (await ask(web, token)).status_code == 401
            assert why(signin) == "malformed", extra
    assert issuer.fetched == []


def sign_raw(header, payload, key) -> str:
    """Sign whatever the header says, as ES256."""
    from joserfc.jws import JWSRegistry

    signing = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    signature = JWSRegistry.algorithms["ES256"].sign(signing.encode(), key)
    return f"{signing}.{b64(signature)}"


@pytest.mark.parametrize(
    "kid",
    ["../../../etc/passwd", "/dev/null", "first\x00", "' OR 1=1 --", "https://evil.example/k",
     "First", "ｆirst", "first/../first"],
)  # fmt: skip
async def test_a_key_name_is_compared_and_nothing_else(web, issuer, signin, kid):
    stranger = ECKey.generate_key("P-256")
    answer = await ask(web, issuer.token(stranger, header={"kid": kid}))
    assert answer.status_code == 401
    assert why(signin) == "unknown-key"
    assert set(issuer.fetched) <= {f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/jwks"}


async def test_another_key_of_the_same_name_does_not_sign(web, issuer, signin):
    stranger = ECKey.generate_key("P-256", {"kid": "first"})
    assert (await ask(web, issuer.token(stranger))).status_code == 401
    assert why(signin) == "signature"


async def test_without_a_name_the_key_has_to_be_the_only_fitting_one(web, issuer, signin):
    token = issuer.token(header={"kid": None})
    assert (await ask(web, token)).status_code == 200
    issuer.add(ECKey.generate_key("P-256", {"kid": "second"}))
    signin.providers[ISSUER]._keys._fetched = float("-inf")
    signin.providers[ISSUER]._keys._tried = float("-inf")
    assert (await ask(web, token)).status_code == 401
    assert why(signin) == "unknown-key"


@pytest.mark.parametrize(
    "payload",
    [
        b"{}", b"[]", b"null", b'"text"', b"", b"{", b"\xff", b'{"iss":"\\ud800"}',
        b'{"exp":NaN}', b'{"exp":Infinity}', b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 400 + b"1" + b"}" * 400,
    ],
)  # fmt: skip
async def test_a_payload_that_is_no_plain_object_is_refused(web, issuer, payload):
    assert (await ask(web, issuer.signed(payload))).status_code == 401


async def test_a_claim_that_is_there_twice_is_refused(web, issuer, signin):
    text = json.dumps(issuer.claims(sub="4712"))[:-1] + ',"sub":"4711"}'
    assert (await ask(web, issuer.signed(text.encode()))).status_code == 401
    assert why(signin) == "malformed"
    header = b'{"alg":"none","kid":"first","alg":"ES256"}'
    _, payload, signature = issuer.token().split(".")
    assert (await ask(web, f"{b64(header)}.{payload}.{signature}")).status_code == 401
    assert why(signin) == "malformed"


async def test_a_token_has_one_spelling(web, issuer, signin):
    token = issuer.token()
    first, second, third = token.split(".")
    variants = [
        f"{first}=.{second}.{third}", f"{first}.{second}", f"{token}.", f".{token}", "..", "a.b.c",
        f"{first}.{second}.", f"{first}..{third}", token.replace(".", "..", 1), token + "A",
        f"{first}.{second}.{third[:-1]}{other_last(third)}",
    ]  # fmt: skip
    for variant in variants:
        assert (await ask(web, variant)).status_code == 401, variant
    assert (await ask(web, token)).status_code == 200


def other_last(segment: str) -> str:
    """A last letter that differs in bits which are thrown away."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(segment[-1]) ^ 1]


async def test_a_huge_token_is_not_even_read(web, issuer, signin):
    token = issuer.token(filler="x" * MAX_TOKEN)
    assert (await ask(web, token)).status_code == 401
    assert why(signin) == "malformed"
    assert issuer.fetched == []


async def test_every_changed_byte_of_a_token_makes_it_worthless(web, issuer, signin):
    token = issuer.token()
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        assert (await ask(web, changed)).status_code == 401, place


# --- keys that change ---------------------------------------------------------------------------


async def test_a_new_key_is_found_when_it_is_first_used(web, issuer, clock):
    assert (await ask(web, issuer.token())).status_code == 200
    fresh = issuer.add(ECKey.generate_key("P-256", {"kid": "second"}))
    clock.advance(keysets.LEAST_PAUSE_S)
    assert (await ask(web, issuer.token(fresh))).status_code == 200


async def test_a_withdrawn_key_ends(web, issuer, clock, signin):
    old = issuer.token(exp=NOW + 2 * 3600)
    assert (await ask(web, old)).status_code == 200
    issuer.keys[:] = [ECKey.generate_key("P-256", {"kid": "second"})]
    clock.advance(keysets.FRESH_S + 1)
    assert (await ask(web, old)).status_code == 401
    assert why(signin) == "unknown-key"


async def test_unknown_key_names_do_not_drive_us_against_the_provider(web, issuer, clock, signin):
    stranger = ECKey.generate_key("P-256")
    for number in range(50):
        await ask(web, issuer.token(stranger, header={"kid": f"k{number}"}))
    assert issuer.fetched.count(f"{ISSUER}/jwks") == 1
    clock.advance(keysets.LEAST_PAUSE_S)
    await ask(web, issuer.token(stranger, header={"kid": "k"}))
    assert issuer.fetched.count(f"{ISSUER}/jwks") == 2


async def test_known_keys_outlast_a_provider_that_is_away_for_a_day(web, issuer, clock, signin):
    assert (await ask(web, issuer.token())).status_code == 200
    issuer.away = True
    clock.advance(keysets.STALE_S - 1)
    assert (await ask(web, issuer.token())).status_code == 200
    clock.advance(2)
    assert (await ask(web, issuer.token())).status_code == 401
    assert why(signin) == "provider-unreachable"


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.west.example", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": ISSUER, "jwks_uri": "https://evil.example/jwks"},
        {"issuer": ISSUER, "jwks_uri": "http://id.east.example/jwks"},
        {"issuer": ISSUER, "jwks_uri": "https://id.east.example:8443/jwks"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": 1},
    ],
)
async def test_keys_come_from_the_pinned_issuer_or_not_at_all(web, issuer, signin, discovery):
    issuer.discovery = {"jwks_uri": "", **discovery}
    issuer.answers[f"{ISSUER}/.well-known/openid-configuration"] = json.dumps(discovery).encode()
    assert (await ask(web, issuer.token())).status_code == 401
    assert set(issuer.fetched) == {f"{ISSUER}/.well-known/openid-configuration"}


@pytest.mark.parametrize("bits", [1024, 2048])
async def test_short_rsa_keys_are_not_used(web, issuer, bits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = issuer.add(RSAKey.generate_key(bits, {"kid": "short"}))
    assert (await ask(web, issuer.token(short, "RS256"))).status_code == (
        200 if bits >= 2048 else 401
    )


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_edwards_keys_are_used(web, issuer):
    assert (await ask(web, issuer.token(issuer.ed25519(), "EdDSA"))).status_code == 200


# --- what the registry says ---------------------------------------------------------------------


async def test_a_login_that_is_on_no_roll_or_at_another_hospital_signs_nobody_in(
    web, issuer, signin, consortium
):
    stranger = consortium.people["south-physician"].id
    signin.providers[ISSUER]._roll.enter("4712", stranger)
    signin.providers[ISSUER]._roll.enter("4713", consortium.people["patient-pieter"].id)
    signin.providers[ISSUER]._roll.enter("4714", "east-1")
    for login in ("4712", "4713", "4714"):
        assert (await ask(web, issuer.token(sub=login))).status_code == 401
        assert why(signin) == "not-certified"


async def test_what_the_registry_takes_away_is_gone_with_the_next_block(
    web, issuer, service, consortium, physician
):
    token = issuer.token()
    assert "physician" in (await ask(web, token)).json()["roles"]
    service.custody["registrar"] = consortium.account("east-governor").key
    from ledger.chain.transaction import Call

    change = {"id": physician, "institution": "east", "roles": ["nurse"]}
    assert (await service.act("registrar", [Call("registry", "affiliate", change)])).result.ok
    assert (await ask(web, token)).json()["roles"] == ["nurse"]
    end = {"id": physician, "reason": "left"}
    assert (await service.act("registrar", [Call("registry", "revoke", end)])).result.ok
    assert (await ask(web, token)).status_code == 401


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("openid profile", ["user/*.r"]),
        ("user/Consent.cruds", ["user/Consent.r"]),
        ("user/Consent.r?status=active", ["user/Consent.r?status=active"]),
        ("system/*.cruds patient/*.rs", []),
        ("user/AuditEvent.s", []),
    ],
)
async def test_scopes_of_a_token_are_never_more_than_the_hospital_gives(
    service, tmp_path, issuer, clock, physician, asked, granted
):
    from ledger.api.signin import jose
    from tests.support.signin import make_signin

    settings = signin_settings(
        "east", provider={"scopes": "user/*.r system/*.cruds", "names": "registry"}
    )
    signin = make_signin(service, tmp_path, issuer, settings=settings, clock=clock)
    token = jose.read(issuer.token(sub=physician, scope=asked))
    found = await signin.providers[ISSUER].bearer(token)
    assert list(found.scopes) == granted
    signin.close()
