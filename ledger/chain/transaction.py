"""Signed requests to the ledger.

A transaction on the wire is an `Envelope`: the exact bytes of its `Body`, and one signature for
each signer that the body names. The id is the hash of the body, so no change of a signature can
give the same request a second id; what is signed is the id, which binds the chain, the calls, the
signers and the validity window.
"""

from __future__ import annotations

from typing import Any

from ledger.chain import limits
from ledger.chain.codec import Malformed, Record, check_value, decode, encode
from ledger.crypto import hashing, suites
from ledger.crypto.keys import SigningKey


class Call(Record, frozen=True, array_like=True):
    """One method of one contract with its named arguments."""

    contract: str
    method: str
    arguments: dict[str, Any]


class Body(Record, frozen=True, array_like=True):
    """What the signers sign.

    ``chain``: hash of the genesis (32 bytes). ``nonce``: up to 16 bytes that make the id unique.
    ``valid_from`` and ``valid_until``: the heights, both included, at which it may enter the chain.
    ``atomic``: whether one failing call undoes the others. ``signers``: wire public keys, the
    caller first, co-signers after.
    """

    chain: bytes
    nonce: bytes
    valid_from: int
    valid_until: int
    atomic: bool
    calls: tuple[Call, ...]
    signers: tuple[bytes, ...]


class Envelope(Record, frozen=True, array_like=True):
    """The encoded body and the signatures over its id, in the order of the body's signers."""

    body: bytes
    signatures: tuple[bytes, ...]


class Transaction:
    """A decoded, well-formed transaction together with the exact bytes it came in.

    Well-formed says nothing about signatures: see `verify_signatures`.
    """

    __slots__ = ("body", "envelope", "id", "raw")

    def __init__(self, raw: bytes, envelope: Envelope, body: Body) -> None:
        self.raw = raw
        self.envelope = envelope
        self.body = body
        #: 32-byte hash of the signed body.
        self.id = hashing.TRANSACTION(envelope.body)


def check_body(body: Body) -> None:
    """Refuse a body that no transaction can have; raises `Malformed`."""
    if len(body.chain) != hashing.HASH_SIZE:
        raise Malformed("chain id is not 32 bytes")
    if len(body.nonce) > limits.MAX_NONCE_BYTES:
        raise Malformed(f"nonce longer than {limits.MAX_NONCE_BYTES} bytes")
    if not 0 <= body.valid_from <= body.valid_until:
        raise Malformed("validity window is empty or negative")
    if not 1 <= len(body.calls) <= limits.MAX_CALLS:
        raise Malformed(f"a transaction has 1 to {limits.MAX_CALLS} calls")
    if not 1 <= len(body.signers) <= limits.MAX_SIGNERS:
        raise Malformed(f"a transaction has 1 to {limits.MAX_SIGNERS} signers")
    if len(set(body.signers)) != len(body.signers):
        raise Malformed("a signer is named twice")
    for signer in body.signers:
        try:
            suites.suite_of(signer)
        except suites.UnusableKey as error:
            raise Malformed(str(error)) from None
    for call in body.calls:
        if not call.contract or len(call.contract) > limits.MAX_NAME_BYTES:
            raise Malformed("contract name is empty or too long")
        if not call.method or len(call.method) > limits.MAX_NAME_BYTES:
            raise Malformed("method name is empty or too long")
        check_value(call.arguments)


def decode_transaction(raw: bytes) -> Transaction:
    """Read one transaction from the wire.

    Raises:
        Malformed: in any way not a canonical, well-formed transaction.
    """
    envelope = decode(raw, Envelope, limit=limits.MAX_TRANSACTION_BYTES)
    body = decode(envelope.body, Body, limit=limits.MAX_TRANSACTION_BYTES)
    check_body(body)
    if len(envelope.signatures) != len(body.signers):
        raise Malformed("as many signatures as signers are needed")
    if any(len(signature) > limits.MAX_SIGNATURE_BYTES for signature in envelope.signatures):
        raise Malformed(f"a signature has at most {limits.MAX_SIGNATURE_BYTES} bytes")
    return Transaction(raw, envelope, body)


def verify_signatures(transaction: Transaction) -> bool:
    """Whether every signer named in the body signed it."""
    return all(
        suites.verify(signer, transaction.id, signature)
        for signer, signature in zip(
            transaction.body.signers, transaction.envelope.signatures, strict=True
        )
    )


def sign_transaction(body: Body, *keys: SigningKey) -> Transaction:
    """Sign a body with the keys of all its signers, given in the same order.

    Raises:
        Malformed: the body is not well-formed or the keys are not those of its signers.
    """
    check_body(body)
    if tuple(key.public for key in keys) != body.signers:
        raise Malformed("the signing keys are not those of the body's signers")
    encoded = encode(body)
    identity = hashing.TRANSACTION(encoded)
    envelope = Envelope(encoded, tuple(key.sign(identity) for key in keys))
    return decode_transaction(encode(envelope))
