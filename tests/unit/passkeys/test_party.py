"""What authenticators say is read to the end, whatever it is: a key, or nothing."""

from __future__ import annotations

import base64

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.api.passkeys.party import (
    Assertion,
    Attestation,
    NotBelieved,
    RelyingParty,
    user_handle,
    wire_signature,
)
from ledger.crypto import hashing
from ledger.node.setup.passkeys import PasskeysSection
from tests.support.authenticator import ORIGIN, Authenticator, b64url

PARTY = RelyingParty("localhost", (ORIGIN,), "Test")
HERS = Authenticator("hers")
NONCE = bytes(range(32))


def attestation(answer: bytes | None = None) -> Attestation:
    made = HERS.attestation(NONCE)
    if answer is not None:
        made["response"]["attestationObject"] = b64url(answer)
    return msgspec.convert(made, Attestation)


GOOD = base64.urlsafe_b64decode(attestation().response.attestationObject + "==")


def test_a_good_attestation_gives_the_wire_key() -> None:
    assert PARTY.registered(attestation(), NONCE) == HERS.public


@settings(max_examples=150)
@given(st.data())
def test_a_changed_attestation_gives_a_key_or_nothing(data: st.DataObject) -> None:
    """No attestation signs it, so a changed key is a key; the key must then sign for itself."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    piece = data.draw(st.binary(max_size=4))
    changed = GOOD[:at] + piece + GOOD[at + data.draw(st.integers(0, 4)) :]
    try:
        key = PARTY.registered(attestation(changed), NONCE)
    except NotBelieved:
        return
    assert len(key) == 66
    assert key[:33] == HERS.public[:33]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x9f" * 5_000,
        b"\x81" * 5_000,
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b""}),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b"\xff" * 37}),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": 5}),
        cbor2.dumps({"fmt": "packed", "attStmt": {"alg": -7, "sig": b"", "x5c": [b"x"]},
                     "authData": b"\xff" * 200}),
        cbor2.dumps({"fmt": "tpm", "attStmt": [], "authData": b"\x00" * 200}),
        cbor2.dumps([]),
        cbor2.dumps({1: 2}),
    ],
)  # fmt: skip
def test_bombs_and_nonsense_are_nothing(answer: bytes) -> None:
    with pytest.raises(NotBelieved):
        PARTY.registered(attestation(answer), NONCE)


def test_a_sign_in_is_believed_for_the_key_that_made_it() -> None:
    made = msgspec.convert(HERS.answer(hashing.SIGN_IN(NONCE), "p-1"), Assertion)
    other = Authenticator("other").public.hex()
    assert user_handle(made) == "p-1"
    assert PARTY.signed_in(made, NONCE, [other, HERS.public.hex()]) == HERS.public.hex()
    for keys in ([], [other], ["01" * 33], ["02" + "00" * 65]):
        with pytest.raises(NotBelieved):
            PARTY.signed_in(made, NONCE, keys)


def test_parts_that_are_no_base64_are_no_signature() -> None:
    made = msgspec.convert(HERS.answer(NONCE), Assertion)
    for broken in ("é", "A", "=" * 5):
        with pytest.raises(NotBelieved):
            wire_signature(msgspec.structs.replace(made.response, signature=broken))


@pytest.mark.parametrize(
    ("given", "url", "rp_id", "origins"),
    [
        ({}, "https://ledger.east.example", "ledger.east.example",
         ("https://ledger.east.example",)),
        ({"rp_id": "east.example"}, "https://ledger.east.example:8443", "east.example",
         ("https://ledger.east.example:8443",)),
        ({}, "http://127.0.0.1:8100", "localhost", ("http://localhost:8100",)),
        ({"origins": ["https://app.east.example"]}, "https://east.example", "east.example",
         ("https://east.example", "https://app.east.example")),
    ],
)  # fmt: skip
def test_a_node_is_a_relying_party_under_its_own_name(given, url, rp_id, origins) -> None:
    assert PasskeysSection(**given).party(url) == (rp_id, origins)


@pytest.mark.parametrize("rp_id", ["East.example", "10.0.0.1", "", "a..b", "https://x", "-a.b"])
def test_a_relying_partys_id_is_a_host_name(rp_id: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        PasskeysSection(rp_id=rp_id)
