"""Shamir's sharing of a scalar with Feldman's commitments, so that every share can be checked.

A secret is the value at zero of a polynomial of degree t-1; the share of index j, from 1 on, is its
value at j. The coefficients times the generator are public: with them anybody computes the share of
an index times the generator, the *verification share*, and t-1 shares still say nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.crypto.oprf import group
from ledger.crypto.oprf.group import Entropy

#: The consortium's validators, and so the shares of a key, are no more than these.
MAX_SHARES: Final = 100


class BadShare(ValueError):
    """A share, or a commitment to shares, that cannot be right."""


@dataclass(frozen=True, slots=True, repr=False)
class Polynomial:
    """The coefficients of a sharing, the secret first. Never shown."""

    coefficients: tuple[bytes, ...]

    @classmethod
    def random(
        cls, threshold: int, secret: bytes | None = None, entropy: Entropy = secrets.token_bytes
    ) -> Polynomial:
        """A polynomial of degree ``threshold - 1`` over a secret, a fresh one if none is given."""
        first = group.random_scalar(entropy) if secret is None else secret
        more = (group.random_scalar(entropy) for _ in range(threshold - 1))
        return cls((first, *more))

    def share(self, index: int) -> bytes:
        """The value at an index."""
        at, found = group.of_int(index), group.ZERO
        for coefficient in reversed(self.coefficients):
            found = group.plus(group.times(found, at), coefficient)
        return found

    def commitments(self) -> tuple[bytes, ...]:
        """The coefficients times the generator."""
        return tuple(group.base(coefficient) for coefficient in self.coefficients)


def checked_commitments(commitments: Sequence[bytes], threshold: int) -> tuple[bytes, ...]:
    """Commitments from outside; `BadShare` unless they are of a polynomial of that degree."""
    if len(commitments) != threshold:
        raise BadShare(f"{len(commitments)} commitments where {threshold} are needed")
    try:
        return tuple(group.element(point) for point in commitments)
    except group.NotOfGroup as error:
        raise BadShare(str(error)) from None


def verification_share(commitments: Sequence[bytes], index: int) -> bytes:
    """The share of an index times the generator; the identity where that share is zero."""
    power, pairs = 1, []
    for commitment in commitments:
        pairs.append((group.of_int(power), commitment))
        power = power * index % group.ORDER
    return group.weighted(pairs)


def fits(share: bytes, commitments: Sequence[bytes], index: int) -> bool:
    """Whether a share from outside is the one of an index."""
    try:
        known = group.scalar(share)
    except group.NotOfGroup:
        return False
    made = group.IDENTITY if known == group.ZERO else group.base(known)
    return made == verification_share(commitments, index)


def weight(index: int, among: Collection[int]) -> bytes:
    """What the share of an index counts when those ``among`` are combined (Lagrange, at zero).

    Raises:
        ValueError: an index twice, or not positive, or not among them.
    """
    if len(set(among)) != len(among) or index not in among or min(among) < 1:
        raise ValueError("shares are combined by different, positive indexes")
    above, below = 1, 1
    for other in among:
        if other != index:
            above = above * other % group.ORDER
            below = below * (other - index) % group.ORDER
    return group.of_int(above * pow(below, -1, group.ORDER))
