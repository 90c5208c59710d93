"""A patient gets a passkey by her clinic's code, signs in with it, and signs what she reads."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ledger.api.passkeys import challenges, codes
from ledger.api.patients import VOICES, may_speak
from ledger.api.preparing import keys_of
from ledger.chain.codec import decode, encode
from ledger.chain.result import CallResult
from ledger.chain.transaction import Body, Envelope
from ledger.crypto import hashing
from tests.support.authenticator import Authenticator, client_data
from tests.unit.passkeys.conftest import NEWCOMER, URL, decoded

CONSENT = {"act": "permit", "purposes": ["TREAT"], "institutions": ["south"]}


@pytest.fixture
async def enrolled(page, counter, registrar, hers, clock, service):
    """The newcomer, with her passkey in the registry. The sign-in's clock is that of the chain."""
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    code = await counter.enrols(registrar)
    return await page.register(hers, NEWCOMER, code)


async def test_a_patient_registers_signs_in_consents_and_takes_it_back(
    page, enrolled, hers, service
) -> None:
    assert enrolled["counts"] <= service.head().time
    found = await page.sign_in(hers, NEWCOMER)
    assert (found["person"], found["key"]) == (NEWCOMER, hers.public.hex())
    prepared, outcome = await page.declare(hers, CONSENT)
    assert outcome["ok"], outcome
    assert prepared["summary"] == [
        {
            "en": "You permit south to see ordinary records (every kind) for treatment, until you "
            "take it back.",
            "zh": "您允许south因诊疗查看普通的病历（所有种类），直至您撤回。",
            "subject": NEWCOMER,
            "whole": True,
        }
    ]
    overview = (await page.api.get("/v1/patient")).json()
    (given,) = overview["consents"]
    assert given["rules"] == [
        {"confidentiality": "N", "effect": "permit", "institutions": ["south"],
         "purposes": ["TREAT"]}
    ]  # fmt: skip
    _, outcome = await page.declare(hers, {"act": "withdraw", "consent": given["consent"]})
    assert outcome["ok"], outcome
    assert (await page.api.get("/v1/patient")).json()["consents"] == []


async def test_the_session_comes_as_a_cookie_that_scripts_cannot_read(page, enrolled, hers) -> None:
    begun = await page.post("/auth/passkey/options", {})
    credential = hers.answer(hashing.SIGN_IN(decoded(begun["nonce"])), NEWCOMER)
    answer = await page.api.post(
        "/auth/passkey/verify", json={"nonce": begun["nonce"], "credential": credential}
    )
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    secret = cookie.partition("=")[2].partition(";")[0]
    assert secret not in answer.text


async def test_a_signature_of_a_node_is_no_consent_of_hers(page, enrolled, hers) -> None:
    """What the node prepared it cannot finish: any other key's signature is refused."""
    await page.sign_in(hers, NEWCOMER)
    forger = Authenticator("the node's own")
    wish = {"key": hers.public.hex(), "act": CONSENT}
    prepared = await page.post("/v1/prepare", wish)
    body = base64.b64decode(prepared["body"])
    signature = forger.sign(hashing.TRANSACTION(body))
    raw = b"\x92\xc5" + len(body).to_bytes(2, "big") + body + b"\x91\xc4" + bytes([len(signature)])
    if len(body) < 256:
        raw = b"\x92\xc4" + bytes([len(body)]) + body + b"\x91\xc4" + bytes([len(signature)])
    sent = {"transactions": [base64.b64encode(raw + signature).decode()]}
    refused = await page.post("/v1/transactions", sent, 422)
    assert refused["transactions"][0]["code"] == "bad_signature"


async def test_a_sign_in_signs_nothing_else(page, enrolled, hers) -> None:
    """The challenge of a sign-in is a hash in its own domain, so no transaction has it as its id:
    an assertion over a transaction's id signs nobody in, nor the other way round."""
    begun = await page.post("/auth/passkey/options", {})
    nonce = decoded(begun["nonce"])
    credential = hers.answer(nonce, NEWCOMER)
    await page.post(
        "/auth/passkey/verify", {"nonce": begun["nonce"], "credential": credential}, 401
    )


async def test_a_challenge_is_good_once_and_not_for_long(page, enrolled, hers, clock) -> None:
    begun = await page.post("/auth/passkey/options", {})
    credential = hers.answer(hashing.SIGN_IN(decoded(begun["nonce"])), NEWCOMER)
    body = {"nonce": begun["nonce"], "credential": credential}
    await page.post("/auth/passkey/verify", body)
    page.api.cookies.clear()
    await page.post("/auth/passkey/verify", body, 401)
    begun = await page.post("/auth/passkey/options", {})
    clock.advance(challenges.LIFETIME_S)
    credential = hers.answer(hashing.SIGN_IN(decoded(begun["nonce"])), NEWCOMER)
    body = {"nonce": begun["nonce"], "credential": credential}
    await page.post("/auth/passkey/verify", body, 401)


async def test_a_challenge_that_was_never_given_out_is_refused(page, enrolled, hers) -> None:
    nonce = bytes(range(32))
    text = base64.urlsafe_b64encode(nonce).rstrip(b"=").decode()
    credential = hers.answer(hashing.SIGN_IN(nonce), NEWCOMER)
    await page.post("/auth/passkey/verify", {"nonce": text, "credential": credential}, 401)


async def test_who_does_not_prove_herself_is_not_signed_in(page, enrolled, hers, pseudonym) -> None:
    async def tries(made: Callable[[bytes], dict[str, Any]]) -> None:
        begun = await page.post("/auth/passkey/options", {})
        credential = made(hashing.SIGN_IN(decoded(begun["nonce"])))
        body = {"nonce": begun["nonce"], "credential": credential}
        await page.post("/auth/passkey/verify", body, 401)

    await tries(lambda challenge: Authenticator("stranger").answer(challenge, NEWCOMER))
    await tries(lambda challenge: hers.answer(challenge, pseudonym))
    present = hers.authenticator_data(0x01)
    await tries(lambda challenge: hers.answer(challenge, NEWCOMER, data=present))
    port = "http://localhost:9999"
    await tries(lambda each: hers.answer(each, NEWCOMER, client=client_data(each, port)))
    await page.sign_in(hers, NEWCOMER)


BROKEN = [
    {"userHandle": "%%%"},
    {"userHandle": "8J-SqQ"},
    {"signature": ""},
    {"signature": "AAAA"},
    {"authenticatorData": ""},
    {"clientDataJSON": "!"},
    {"userHandle": base64.urlsafe_b64encode(b"p-/../" + b"a" * 26).decode()},
]


async def test_hostile_parts_are_refused_and_not_errors(page, enrolled, hers, clock) -> None:
    for broken in BROKEN:
        clock.advance(3_600)  # nobody is asked to wait
        begun = await page.post("/auth/passkey/options", {})
        credential = hers.answer(hashing.SIGN_IN(decoded(begun["nonce"])), NEWCOMER)
        credential["response"] |= broken
        body = {"nonce": begun["nonce"], "credential": credential}
        await page.post("/auth/passkey/verify", body, 401)


async def test_who_fails_often_has_to_wait(page, enrolled, hers) -> None:
    stranger = Authenticator("stranger")
    for _ in range(6):
        await page.sign_in(stranger, NEWCOMER, 401)
    await page.post("/auth/passkey/options", {}, 429)


# --- Registration -----------------------------------------------------------------------------


async def test_without_the_code_nobody_registers(page, counter, registrar, clock, service) -> None:
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    code = await counter.enrols(registrar)
    path = "/auth/passkey/registration/options"
    await page.post(path, {"subject": "p-" + "b" * 32, "code": code}, 401)
    await page.post(path, {"subject": NEWCOMER, "code": "AAAAA-AAAAA"}, 401)
    await page.post(path, {"subject": NEWCOMER, "code": f" {code.lower()} "})


async def test_guessing_voids_the_code(page, counter, registrar, clock, service) -> None:
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    code = await counter.enrols(registrar)
    path = "/auth/passkey/registration/options"
    for _ in range(codes.TRIES):
        await page.post(path, {"subject": NEWCOMER, "code": "AAAAA-AAAAA"}, 401)
    await page.post(path, {"subject": NEWCOMER, "code": code}, 401)


async def test_the_new_key_must_sign_and_no_other(page, counter, registrar, hers, clock, service):
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    code = await counter.enrols(registrar)
    given = {"subject": NEWCOMER, "code": code}
    begun = await page.post("/auth/passkey/registration/options", given)
    made = hers.attestation(decoded(begun["nonce"]))
    body = {**given, "nonce": begun["nonce"], "credential": made}
    prepared = await page.post("/auth/passkey/registration/verify", body)
    decoded_body = decode(base64.b64decode(prepared["body"]), Body, limit=10_000)
    assert decoded_body.signers[1] == hers.public
    identity = bytes.fromhex(prepared["id"])
    thief = Authenticator("thief").answer(identity)
    confirm = "/auth/passkey/registration/confirm"
    await page.post(confirm, {"id": prepared["id"], "credential": thief}, 401)
    await page.post(confirm, {"id": prepared["id"], "credential": hers.answer(identity)})
    # The code has served.
    await page.post("/auth/passkey/registration/options", given, 401)


async def test_a_passkey_that_was_not_made_as_asked_is_refused(
    page, counter, registrar, hers, clock, service
) -> None:
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    given = {"subject": NEWCOMER, "code": await counter.enrols(registrar)}
    for changes in ({"flags": 0x41}, {"kind": "webauthn.get"}, {"challenge": bytes(32)}):
        begun = await page.post("/auth/passkey/registration/options", given)
        made = hers.attestation(**{"challenge": decoded(begun["nonce"]), **changes})
        body = {**given, "nonce": begun["nonce"], "credential": made}
        await page.post("/auth/passkey/registration/verify", body, 401)


async def test_options_ask_for_a_verified_and_discoverable_passkey(
    page, counter, registrar, clock, service
) -> None:
    clock.passed = service.head().time / 1000 - clock.now() + clock.passed
    given = {"subject": NEWCOMER, "code": await counter.enrols(registrar)}
    options = (await page.post("/auth/passkey/registration/options", given))["options"]
    assert options["rp"]["id"] == "localhost"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["attestation"] == "none"
    assert [each["alg"] for each in options["pubKeyCredParams"]] == [-7]


async def test_a_further_device_is_added_at_once_when_both_sign(
    page, enrolled, hers, service
) -> None:
    await page.sign_in(hers, NEWCOMER)
    tablet = Authenticator("tablet")
    begun = await page.post("/auth/passkey/devices/options", {})
    made = tablet.attestation(decoded(begun["nonce"]))
    given = {"key": hers.public.hex(), "nonce": begun["nonce"], "credential": made}
    prepared = await page.post("/auth/passkey/devices/verify", given)
    assert prepared["signers"] == [hers.public.hex(), tablet.public.hex()]
    body = base64.b64decode(prepared["body"])
    identity = hashing.TRANSACTION(body)
    thief = Authenticator("thief")
    for second, status in ((thief, 422), (tablet, 200)):
        raw = encode(Envelope(body, (hers.sign(identity), second.sign(identity))))
        sent = {"transactions": [base64.b64encode(raw).decode()]}
        await page.post("/v1/transactions?wait=5", sent, status)
    assert keys_of(service, NEWCOMER) == [hers.public.hex(), tablet.public.hex()]
    await page.post("/auth/passkey/devices/verify", given, 422)  # the challenge is used
    page.api.cookies.clear()
    page.csrf = ""
    await page.sign_in(tablet, NEWCOMER)


async def test_only_who_is_signed_in_adds_a_device(page, enrolled, counter, registrar) -> None:
    await page.post("/auth/passkey/devices/options", {}, 401)
    await counter.ask(registrar, "POST", "/auth/passkey/devices/options", {}, 403)


async def test_who_comes_with_the_cookie_of_a_session_that_ended_signs_in_again(
    page, enrolled, hers, clock
) -> None:
    await page.sign_in(hers, NEWCOMER)
    page.csrf = ""  # the page was loaded anew
    await page.sign_in(hers, NEWCOMER)
    clock.advance(16 * 60)
    assert (await page.api.get("/v1/patient")).status_code == 401
    await page.sign_in(hers, NEWCOMER)
    assert (await page.api.get("/v1/patient")).status_code == 200


# --- Preparing --------------------------------------------------------------------------------


async def test_only_patients_have_something_prepared(page, counter, registrar, hers) -> None:
    wish = {"key": hers.public.hex(), "act": CONSENT}
    await counter.ask(None, "POST", "/v1/prepare", wish, 401)
    await counter.ask(registrar, "POST", "/v1/prepare", wish, 403)


async def test_only_with_a_key_of_hers(page, enrolled, hers) -> None:
    await page.sign_in(hers, NEWCOMER)
    wish = {"key": Authenticator("other").public.hex(), "act": CONSENT}
    await page.post("/v1/prepare", wish, 422)


async def test_another_sites_page_cannot_prepare_in_her_session(page, enrolled, hers) -> None:
    await page.sign_in(hers, NEWCOMER)
    wish = {"key": hers.public.hex(), "act": CONSENT}
    answer = await page.api.post(
        "/v1/prepare", json=wish, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    answer = await page.api.post("/v1/prepare", json=wish, headers={"Origin": URL})
    assert answer.status_code == 403


NOT_UNDERSTOOD = [
    {"act": "permit", "purposes": []},
    {"act": "permit"},
    {"act": "permit", "purposes": ["TREAT"], "until": -1},
    {"act": "permit", "purposes": ["TREAT"] * 65},
    {"act": "permit", "purposes": ["TREAT"], "roles": ["physician"]},
    {"act": "revoke"},
    {"act": "withdraw"},
    {},
]


async def test_a_wish_that_cannot_be_understood_is_refused(page, enrolled, hers) -> None:
    await page.sign_in(hers, NEWCOMER)
    for act in NOT_UNDERSTOOD:
        await page.post("/v1/prepare", {"key": hers.public.hex(), "act": act}, 422)


async def test_she_sees_the_consents_of_those_for_whom_she_speaks_and_no_others(
    page, enrolled, hers, pseudonym
) -> None:
    await page.sign_in(hers, NEWCOMER)
    answer = await page.api.get("/v1/patient", params={"subject": pseudonym})
    assert answer.status_code == 403


async def test_what_is_signed_for_another_says_so_and_the_contract_decides(
    page, enrolled, hers, pseudonym
) -> None:
    await page.sign_in(hers, NEWCOMER)
    prepared, outcome = await page.declare(hers, CONSENT, subject=pseudonym)
    assert prepared["summary"][0]["subject"] == pseudonym
    assert not outcome["ok"]
    assert outcome["calls"][0]["error"].startswith("not_the_person")


@pytest.mark.parametrize(
    ("standings", "speaks"),
    [
        (("speaks", "none"), True),
        (("none", "speaks"), True),
        (("none", "none"), False),
        (("silenced", "speaks"), False),
        ((None, None), False),  # neither contract is on this chain
    ],
)
async def test_who_speaks_for_whom_is_asked_of_the_contracts(standings, speaks) -> None:
    class Chain:
        async def query(self, contract: str, method: str, arguments: dict[str, str]) -> CallResult:
            standing = dict(zip(VOICES, standings, strict=True))[contract]
            ok = standing is not None
            return CallResult(ok, "" if ok else "unknown_contract", {"standing": standing}, 0, ())

    assert await may_speak(Chain(), NEWCOMER, "p-" + "b" * 32) is speaks


# --- The page ---------------------------------------------------------------------------------


@pytest.fixture
async def browser(app):
    """The pages are for people and stand in no document of the interface."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def test_the_page_loads_nothing_from_elsewhere_and_nothing_inline(browser) -> None:
    found = await browser.get("/patient")
    assert found.status_code == 200
    policies = found.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert "default-src 'self'" in policies[0]
    assert "unsafe" not in policies[0]
    assert "://" not in found.text
    assert not re.search(r"""\s(style|on[a-z]+)=|<script(?![^>]*\ssrc=)""", found.text)


async def test_every_part_of_the_page_is_there_and_nothing_more(browser) -> None:
    for name in ("patient.css", "patient.js", "texts.js", "words.js", "declaration.js",
                 "ledger.js", "msgpack.js"):  # fmt: skip
        found = await browser.get(f"/patient/{name}")
        assert found.status_code == 200
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "http://" not in found.text
    for name in ("serving.py", "__init__.py", "..%2Fapp.py", "patient.html"):
        assert (await browser.get(f"/patient/{name}")).status_code == 404
