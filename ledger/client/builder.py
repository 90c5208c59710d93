"""Making signed transactions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ledger.chain import limits
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.crypto.keys import SigningKey, key_id


class Account:
    """Somebody who signs: a key and the names that contracts know it by."""

    __slots__ = ("key",)

    def __init__(self, key: SigningKey) -> None:
        self.key = key

    @property
    def public(self) -> bytes:
        """The wire public key."""
        return self.key.public

    @property
    def id(self) -> str:
        """The hex text of the public key, as `signers()` of a contract has it."""
        return key_id(self.key.public)

    def __repr__(self) -> str:
        return f"Account({self.id})"


def call(contract: str, method: str, /, **arguments: Any) -> Call:
    """One call of a transaction."""
    return Call(contract, method, arguments)


def build(
    chain: bytes,
    height: int,
    window: int,
    calls: Sequence[Call],
    signers: Sequence[Account],
    *,
    atomic: bool = False,
    nonce: bytes | None = None,
) -> Transaction:
    """A signed transaction that may enter the chain in the ``window`` heights after ``height``.

    Args:
        chain: the 32-byte id of the chain.
        height: the newest height that the caller knows.
        window: how many heights it stays valid; the chain's parameters set the largest.
        calls: at least one.
        signers: the caller first, co-signers after.
        atomic: whether one failing call undoes the others.
        nonce: what makes it differ from others with the same content; by default random.

    Raises:
        Malformed: no such transaction can be well-formed.
    """
    body = Body(
        chain=chain,
        nonce=secrets.token_bytes(limits.MAX_NONCE_BYTES) if nonce is None else nonce,
        valid_from=height,
        valid_until=height + window,
        atomic=atomic,
        calls=tuple(calls),
        signers=tuple(account.public for account in signers),
    )
    return sign_transaction(body, *(account.key for account in signers))
