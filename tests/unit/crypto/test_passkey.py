"""What a passkey's signature must say before it counts, and that it can be said in one way only."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.codec import Malformed, encode
from ledger.chain.transaction import Body, Call, Envelope, decode_transaction, verify_signatures
from ledger.crypto import hashing, passkey
from ledger.crypto.keys import SigningKey
from ledger.crypto.suites import UnusableKey, suite_of, verify
from tests.support.authenticator import VERIFIED, Authenticator, client_data

MESSAGE = bytes(range(32))
HERS = Authenticator("hers")
FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


def good(assertion_of: Authenticator = HERS, **parts: bytes) -> bool:
    return verify(assertion_of.public, MESSAGE, assertion_of.assertion(MESSAGE, **parts).wire)


def test_a_passkey_signs_the_message_that_was_its_challenge() -> None:
    assert suite_of(HERS.public).name == "webauthn-es256"
    assert good()
    assert not verify(HERS.public, bytes(32), HERS.sign(MESSAGE))
    assert not verify(Authenticator("another's").public, MESSAGE, HERS.sign(MESSAGE))


@given(st.data())
def test_no_byte_of_a_signature_or_key_can_be_changed(data: st.DataObject) -> None:
    signature, public = HERS.sign(MESSAGE), HERS.public
    change = data.draw(st.integers(1, 255))
    at = data.draw(st.integers(0, len(signature) - 1))
    changed = signature[:at] + bytes([signature[at] ^ change]) + signature[at + 1 :]
    assert not verify(public, MESSAGE, changed)
    at = data.draw(st.integers(0, len(public) - 1))
    changed = public[:at] + bytes([public[at] ^ change]) + public[at + 1 :]
    assert not verify(changed, MESSAGE, signature)


def test_every_byte_of_one_signature_counts() -> None:
    signature = HERS.sign(MESSAGE)
    for at in range(len(signature)):
        for change in (0x01, 0x20, 0x80):
            changed = signature[:at] + bytes([signature[at] ^ change]) + signature[at + 1 :]
            assert not verify(HERS.public, MESSAGE, changed), (at, change)


@given(st.binary(max_size=passkey.SIGNATURE_SIZE + 1), st.binary(max_size=70))
def test_no_bytes_at_all_make_the_verifier_raise(signature: bytes, public: bytes) -> None:
    assert not verify(HERS.public, MESSAGE, signature)
    assert not verify(b"\x02" + public, MESSAGE, HERS.sign(MESSAGE))


def test_the_same_signature_cannot_be_written_with_the_other_s() -> None:
    assertion = HERS.assertion(MESSAGE)
    r, s = decode_dss_signature(assertion.der)
    other = encode_dss_signature(r, passkey.ORDER - s)
    again = passkey.signature(assertion.authenticator_data, assertion.client_data, other)
    assert again == assertion.wire
    numbers = r.to_bytes(32, "big") + max(s, passkey.ORDER - s).to_bytes(32, "big")
    assert not verify(HERS.public, MESSAGE, again[:37] + numbers + again[101:])


def test_no_change_of_a_signature_changes_the_id_of_a_transaction() -> None:
    body = Body(bytes(32), b"", 1, 2, False, (Call("c", "m", {}),), (HERS.public,))
    identity = hashing.TRANSACTION(encode(body))
    wire = HERS.sign(identity)
    s = int.from_bytes(wire[69:101], "big")
    high = wire[:69] + (passkey.ORDER - s).to_bytes(32, "big") + wire[101:]
    again = HERS.assertion(identity, data=HERS.authenticator_data(counter=7)).wire
    good = {}
    for signature in (wire, high, again):
        transaction = decode_transaction(encode(Envelope(encode(body), (signature,))))
        assert transaction.id == identity
        good[signature] = verify_signatures(transaction)
    assert good == {wire: True, high: False, again: True}


def test_a_signature_longer_than_any_is_not_even_looked_at() -> None:
    body = Body(bytes(32), b"", 1, 2, False, (Call("c", "m", {}),), (HERS.public,))
    with pytest.raises(Malformed, match="2048"):
        decode_transaction(encode(Envelope(encode(body), (bytes(2049),))))


@pytest.mark.parametrize("surplus", [passkey.ORDER, -passkey.ORDER])
def test_numbers_beyond_the_order_are_no_numbers_of_a_signature(surplus: int) -> None:
    wire = HERS.sign(MESSAGE)
    s = int.from_bytes(wire[69:101], "big")
    written = (s + surplus) % 2**256
    assert not verify(HERS.public, MESSAGE, wire[:69] + written.to_bytes(32, "big") + wire[101:])
    zero = bytes(32)
    assert not verify(HERS.public, MESSAGE, wire[:37] + zero + wire[69:])
    assert not verify(HERS.public, MESSAGE, wire[:69] + zero + wire[101:])


@pytest.mark.parametrize(
    ("flags", "counts"),
    [
        (VERIFIED, True),
        (VERIFIED | 0x08, True),
        (VERIFIED | 0x18, True),
        (0x01, False),  # present, not verified
        (0x04, False),  # verified, not present
        (0x00, False),
        (VERIFIED | 0x10, False),  # backed up, though it cannot be
        (VERIFIED | 0x02, False),  # reserved
        (VERIFIED | 0x20, False),  # reserved
        (VERIFIED | 0x40, False),  # an attested credential that is not there
        (VERIFIED | 0x80, False),  # extensions that are not there
    ],
)
def test_somebody_must_have_been_present_and_verified(flags: int, counts: bool) -> None:
    assert good(data=HERS.authenticator_data(flags)) is counts


def test_the_counter_is_signed_and_not_compared() -> None:
    assert good(data=HERS.authenticator_data(counter=2**32 - 1))


@pytest.mark.parametrize(
    ("rp_id", "origin", "counts"),
    [
        ("localhost", "http://localhost:8100", True),
        ("localhost", "http://localhost", True),
        ("hospital.example", "https://hospital.example", True),
        ("hospital.example", "https://patients.hospital.example:8443", True),
        ("hospital.example", "https://xn--fiqs8s.hospital.example", True),
        ("hospital.example", "http://hospital.example", False),
        ("hospital.example", "https://example", False),
        ("hospital.example", "https://nohospital.example", False),
        ("hospital.example", "https://hospital.example.evil.example", False),
        ("hospital.example", "https://hospital.example@evil.example", False),
        ("hospital.example", "https://hospital.example/path", False),
        ("hospital.example", "https://HOSPITAL.example", False),
        ("hospital.example", "https://hospital.example:0", False),
        ("hospital.example", "https://hospital.example\n", False),
        ("hospital.example", "android:apk-key-hash:abc", False),
        ("hospital.example", "null", False),
        ("hospital.example", "", False),
    ],
)
def test_the_page_must_be_one_of_the_relying_party(rp_id: str, origin: str, counts: bool) -> None:
    assert good(Authenticator("hers", rp_id, origin)) is counts


def test_a_key_of_one_relying_party_is_no_key_of_another() -> None:
    elsewhere = Authenticator("hers", "evil.example", "https://evil.example")
    assert elsewhere.point == HERS.point
    assert not verify(HERS.public, MESSAGE, elsewhere.sign(MESSAGE))


BEGINNING = b'{"type":"webauthn.get","challenge":"%s","origin":"http://localhost:8100"' % (
    urlsafe_b64encode(MESSAGE).rstrip(b"=")
)


@pytest.mark.parametrize(
    ("rest", "counts"),
    [
        (b',"crossOrigin":false}', True),
        (b"}", True),  # Safari before 2024
        (b',"crossOrigin":false,"other_keys_can_be_added_here":"do not compare"}', True),
        (b',"crossOrigin":true}', False),
        (b',"crossOrigin":true,"topOrigin":"https://evil.example"}', False),
        (b',"crossOrigin":falsehood}', False),
        (b',"crossOrigin": false}', False),
        (b',"topOrigin":"https://evil.example"}', False),
        (b',"crossOrigin":false', False),
        (b',"crossOrigin":false}}x', False),
        (b"} ", False),
        (b"", False),
    ],
)
def test_client_data_ends_as_browsers_end_it(rest: bytes, counts: bool) -> None:
    assert good(client=BEGINNING + rest) is counts


@pytest.mark.parametrize(
    "client",
    [
        client_data(MESSAGE, HERS.origin, kind="webauthn.create"),
        client_data(MESSAGE, HERS.origin, kind="payment.get"),
        client_data(bytes(32), HERS.origin),
        client_data(MESSAGE[:31], HERS.origin),
        client_data(MESSAGE, HERS.origin).replace(b'{"type"', b'{ "type"'),
        client_data(MESSAGE, HERS.origin).replace(b'","origin"', b'=","origin"'),
        b'{"origin":"http://localhost:8100","type":"webauthn.get"}',
        b"",
        b"{}",
        b"\xff" * 80,
    ],
)
def test_client_data_of_another_ceremony_is_refused(client: bytes) -> None:
    assert not good(client=client)


def test_client_data_has_a_longest_length() -> None:
    room = passkey.MAX_CLIENT_DATA_BYTES - len(BEGINNING) - len(b',"crossOrigin":false,"":""}')
    long = BEGINNING + b',"crossOrigin":false,"":"' + b"x" * room + b'"}'
    assert good(client=long)
    assertion = HERS.assertion(MESSAGE, client=long.replace(b"xx", b"xxx", 1))
    with pytest.raises(passkey.NotAnAssertion):
        _ = assertion.wire
    numbers = HERS.sign(MESSAGE)[37:101]
    longer = assertion.authenticator_data + numbers + assertion.client_data
    assert not verify(HERS.public, MESSAGE, longer)


@pytest.mark.parametrize(
    "point",
    [
        b"\x04" + (5).to_bytes(32, "big"),
        b"\x00" + bytes(32),
        b"\x02" + FIELD.to_bytes(32, "big"),
        b"\x02" + (FIELD + 5).to_bytes(32, "big"),
        b"\x02" + (2**256 - 1).to_bytes(32, "big"),
        b"\x02" + (1).to_bytes(32, "big"),  # not on the curve
    ],
)
def test_what_is_not_a_compressed_point_verifies_nothing(point: bytes) -> None:
    public = HERS.public[:33] + point
    assert not verify(public, MESSAGE, HERS.sign(MESSAGE))


def test_a_point_beside_the_curve_becomes_no_key() -> None:
    with pytest.raises(passkey.NotAnAssertion):
        passkey.public_key("localhost", HERS.point.x, HERS.point.y ^ 1)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x06\x02\x01\x01\x02\x01", bytes(64)])
def test_only_der_becomes_a_signature(der: bytes) -> None:
    with pytest.raises(passkey.NotAnAssertion):
        passkey.signature(HERS.authenticator_data(), b"{}", der)


def test_der_that_is_not_canonical_is_refused() -> None:
    assertion = HERS.assertion(MESSAGE)
    r, s = decode_dss_signature(assertion.der)
    padded = b"\x02\x22\x00\x00" + r.to_bytes(32, "big") + b"\x02\x21\x00" + s.to_bytes(32, "big")
    der = b"\x30" + bytes([len(padded)]) + padded
    with pytest.raises(passkey.NotAnAssertion):
        passkey.signature(assertion.authenticator_data, assertion.client_data, der)


def test_this_software_makes_no_passkeys() -> None:
    with pytest.raises(UnusableKey, match="devices"):
        SigningKey(bytes(32), 2)
    with pytest.raises(UnusableKey, match="devices"):
        SigningKey.generate(2)


def test_openssl_agrees_about_what_is_signed() -> None:
    """The signed bytes are those of WebAuthn §6.3.3 and nothing of ours."""
    assertion = HERS.assertion(MESSAGE)
    signed = assertion.authenticator_data + sha256(assertion.client_data).digest()
    passkey._point(HERS.public[33:]).verify(assertion.der, signed, passkey._ALGORITHM)
