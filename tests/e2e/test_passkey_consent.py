"""A consent signed by a passkey, on real nodes: final at all of them, provable, and audited."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode

import httpx
import pytest
from consortium import PATIENCE, WINDOW, Consortium

from ledger.chain.codec import encode
from ledger.chain.transaction import Envelope
from ledger.client.builder import Account, build, call
from ledger.client.verify import check_receipt
from ledger.crypto import hashing
from tests.support.authenticator import Authenticator

HERE, ELSEWHERE = "east-1", "west-1"


@pytest.fixture
def hers(consortium: Consortium) -> Authenticator:
    port = consortium.founding.urls[HERE].rpartition(":")[2]
    return Authenticator(secrets.token_hex(8), origin=f"http://localhost:{port}")


@pytest.fixture
def subject(consortium: Consortium, hers: Authenticator) -> str:
    """A patient of the East Hospital, entered by its registrar and her own passkey."""
    subject = f"p-{secrets.token_hex(16)}"
    registrar = consortium.account("east-governor")
    entered = call(
        "registry", "enrol", id=subject, institution="east", roles=["patient"],
        keys=[hers.public.hex()],
    )  # fmt: skip
    done = consortium.send(HERE, [entered], registrar, Account(hers))
    assert done.outcome is not None
    assert done.outcome.ok, done.outcome
    return subject


def test_her_passkey_consents_and_no_other_does(
    consortium: Consortium, hers: Authenticator, subject: str
) -> None:
    identity = f"c-{secrets.token_hex(8)}"
    told = call("consent", "grant", id=identity, subject=subject, scope={"purposes": ["TREAT"]})
    mine = build(consortium.chain, consortium.height(HERE), WINDOW, [told], [Account(hers)])
    forger = Authenticator("a node that forges", origin=hers.origin)
    forged = encode(Envelope(mine.envelope.body, (forger.sign(mine.id),)))
    (refused,) = consortium.client(HERE).submit(forged)
    assert refused.code == "bad_signature"

    (done,) = consortium.client(HERE).submit(mine.raw, wait=PATIENCE)
    assert done.outcome is not None
    assert done.outcome.ok, done.outcome
    receipt = consortium.client(ELSEWHERE).receipt(mine.id, wait=PATIENCE)
    assert check_receipt(receipt, consortium.trust)
    assert receipt.envelope == mine.raw


def test_she_signs_in_at_the_node_with_it(
    consortium: Consortium, hers: Authenticator, subject: str
) -> None:
    with httpx.Client(base_url=hers.origin.replace("localhost", "127.0.0.1")) as browser:
        begun = browser.post("/auth/passkey/options").json()
        nonce = urlsafe_b64decode(begun["nonce"] + "=")
        answer = hers.answer(hashing.SIGN_IN(nonce), subject)
        found = browser.post(
            "/auth/passkey/verify", json={"nonce": begun["nonce"], "credential": answer}
        )
        assert found.status_code == 200, found.text
        overview = browser.get("/v1/patient").json()
    assert overview["subject"] == subject
    assert overview["consents"] == []
