"""Making a key together, and sharing it anew: pure functions of what the parties have said.

*Making*: Pedersen's distributed key generation. Everybody deals a random secret to everybody, with
Feldman's commitments; the key is the sum of the secrets of those who dealt well. *Sharing anew*:
the holders of a key deal their shares, and the new shares are sums of those weighted by Lagrange's
coefficients; the key stays, and shares from before and after do not fit together.

What is said in public (`Transcript`) is ordered by somebody else; here that is the chain. Shares
go sealed to a key that each party has made for this ceremony alone. Who gets no good share
complains in public, and the dealer shows that share in public or is left out. From the transcript
everybody computes the same `Outcome`, also those who had no part in it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ledger.crypto import sealing
from ledger.crypto.hashing import Domain
from ledger.crypto.oprf import group, sharing
from ledger.crypto.oprf.group import Entropy
from ledger.crypto.oprf.sharing import BadShare, Polynomial
from ledger.crypto.oprf.threshold import Holders

CEREMONY = Domain("pseudonym-ceremony")
_SHARE = b"health-ledger/pseudonym-share\x00"


class CeremonyFailed(Exception):
    """Too few have dealt well; there is no key, and another ceremony is needed."""


@dataclass(frozen=True, slots=True)
class Before:
    """A key that is shared anew. ``dealers``: who deals → the index of the share it holds."""

    holders: Holders
    dealers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ceremony is about.

    ``context``: bytes that no other ceremony has. ``members``: who gets a share, in the order of
    their indexes, from 1. ``threshold``: how many shares it takes. ``tolerated``: how many parties
    may lie. ``before``: the key that is shared anew, None where one is made.
    """

    context: bytes
    members: tuple[str, ...]
    threshold: int
    tolerated: int
    before: Before | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.members) <= sharing.MAX_SHARES:
            raise ValueError("a threshold of at least 1 share, and no more than there are")
        if len(set(self.members)) != len(self.members):
            raise ValueError("a member twice")

    def index(self, member: str) -> int:
        """The index of a member, from 1; raises `ValueError` for others."""
        return self.members.index(member) + 1

    @property
    def dealers(self) -> tuple[str, ...]:
        """Who deals, in the order of their indexes."""
        if self.before is None:
            return self.members
        return tuple(sorted(self.before.dealers, key=self.before.dealers.__getitem__))


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a dealer says. ``sealed``: member → its share, sealed to its key of this ceremony."""

    commitments: tuple[bytes, ...]
    sealed: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that was said in public.

    ``keys``: member → X25519 key of this ceremony. ``complaints``: dealer → who has no good share
    of it. ``answers``: dealer → who complained → the share, in the open.
    """

    keys: Mapping[str, bytes] = field(default_factory=dict)
    dealings: Mapping[str, Dealing] = field(default_factory=dict)
    complaints: Mapping[str, Collection[str]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transcript comes to.

    ``qualified``: the dealers whose dealings count. ``faulty``: who is left out, and why.
    ``digest``: see the function `digest`.
    """

    holders: Holders
    qualified: tuple[str, ...]
    faulty: Mapping[str, str]
    digest: bytes


def _purpose(terms: Terms, dealer: str, member: str) -> bytes:
    parts = (terms.context, dealer.encode(), member.encode())
    return _SHARE + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def deal(
    terms: Terms,
    dealer: str,
    keys: Mapping[str, bytes],
    secret: bytes | None = None,
    *,
    entropy: Entropy = secrets.token_bytes,
) -> tuple[Dealing, Polynomial]:
    """One party's dealing, and the polynomial by which it answers complaints.

    Args:
        keys: member → X25519 key of this ceremony; members without a usable one get no share.
        secret: the share that is shared anew; None for a fresh secret.
    """
    polynomial = Polynomial.random(terms.threshold, secret, entropy)
    return dealt(terms, dealer, keys, polynomial), polynomial


def dealt(terms: Terms, dealer: str, keys: Mapping[str, bytes], polynomial: Polynomial) -> Dealing:
    """The dealing of a polynomial that is there."""
    sealed = {}
    for member in terms.members:
        share = polynomial.share(terms.index(member))
        try:
            sealed[member] = sealing.seal(
                keys.get(member, b""), share, _purpose(terms, dealer, member)
            )
        except sealing.SealError:
            continue
    return Dealing(polynomial.commitments(), sealed)


def structural_fault(terms: Terms, dealer: str, dealing: Dealing) -> str:
    """Why a dealing is bad as everybody can see, or nothing."""
    try:
        commitments = sharing.checked_commitments(dealing.commitments, terms.threshold)
    except BadShare:
        return "commitments"
    if terms.before is not None:
        index = terms.before.dealers.get(dealer)
        known = None if index is None else terms.before.holders.verification.get(index)
        if known is None:
            return "not-a-holder"
        if commitments[0] != known:
            return "another-secret"
    return ""


def opened(
    terms: Terms, member: str, key: sealing.SealingKey, dealer: str, dealing: Dealing
) -> bytes | None:
    """A member's share of a dealing; None where it has no good one, which is worth a complaint."""
    if structural_fault(terms, dealer, dealing):
        return None
    try:
        share = key.open(dealing.sealed.get(member, b""), _purpose(terms, dealer, member))
    except sealing.SealError:
        return None
    return share if sharing.fits(share, dealing.commitments, terms.index(member)) else None


def complaints(
    terms: Terms, member: str, key: sealing.SealingKey, dealings: Mapping[str, Dealing]
) -> tuple[str, ...]:
    """The dealers of whom a member has no good share, but for those whom nobody can use anyway."""
    return tuple(
        dealer
        for dealer in terms.dealers
        if dealer in dealings
        and not structural_fault(terms, dealer, dealings[dealer])
        and opened(terms, member, key, dealer, dealings[dealer]) is None
    )


def fault(terms: Terms, transcript: Transcript, dealer: str) -> str:
    """Why a dealer is left out, or nothing."""
    dealing = transcript.dealings.get(dealer)
    if dealing is None:
        return "silent"
    found = structural_fault(terms, dealer, dealing)
    if found:
        return found
    accusers = set(transcript.complaints.get(dealer, ())) & set(terms.members)
    if len(accusers) > terms.tolerated:
        return "complaints"
    answers = transcript.answers.get(dealer, {})
    for accuser in sorted(accusers):
        share = answers.get(accuser, b"")
        if not sharing.fits(share, dealing.commitments, terms.index(accuser)):
            return "unanswered"
    return ""


def outcome(terms: Terms, transcript: Transcript) -> Outcome:
    """What a transcript comes to.

    Raises:
        CeremonyFailed: no more than the tolerated number have dealt well, or fewer than the old
            threshold where a key is shared anew.
    """
    faults = {dealer: fault(terms, transcript, dealer) for dealer in terms.dealers}
    good = [dealer for dealer in terms.dealers if not faults[dealer]]
    weights: dict[str, bytes] = {}
    if terms.before is None:
        if len(good) <= terms.tolerated:
            raise CeremonyFailed(f"{len(good)} dealt well, of whom {terms.tolerated} may lie")
        weights = dict.fromkeys(good, group.of_int(1))
    else:
        needed = terms.before.holders.threshold
        if len(good) < needed:
            raise CeremonyFailed(f"{len(good)} holders dealt well where {needed} are needed")
        good = good[:needed]
        indexes = [terms.before.dealers[dealer] for dealer in good]
        weights = {
            dealer: sharing.weight(index, indexes)
            for dealer, index in zip(good, indexes, strict=True)
        }
    summed = [
        group.weighted(
            (weights[dealer], transcript.dealings[dealer].commitments[place]) for dealer in good
        )
        for place in range(terms.threshold)
    ]
    verification = {
        terms.index(member): sharing.verification_share(summed, terms.index(member))
        for member in terms.members
    }
    if summed[0] == group.IDENTITY or group.IDENTITY in verification.values():
        raise CeremonyFailed("the key, or a share of it, is zero")
    holders = Holders(summed[0], terms.threshold, verification)
    faulty = {dealer: why for dealer, why in faults.items() if why}
    return Outcome(holders, tuple(good), faulty, digest(terms, transcript, tuple(good), holders))


def own_share(
    terms: Terms,
    transcript: Transcript,
    result: Outcome,
    member: str,
    key: sealing.SealingKey,
) -> bytes:
    """A member's share of the key.

    Raises:
        BadShare: it cannot be put together, which an honest member meets only where its own key of
            the ceremony is lost.
    """
    indexes: list[int] = []
    if terms.before is not None:
        indexes = [terms.before.dealers[dealer] for dealer in result.qualified]
    found = group.ZERO
    for dealer in result.qualified:
        dealing = transcript.dealings[dealer]
        share = opened(terms, member, key, dealer, dealing)
        if share is None:
            share = transcript.answers.get(dealer, {}).get(member, b"")
            if not sharing.fits(share, dealing.commitments, terms.index(member)):
                raise BadShare(f"no good share of {dealer}")
        if terms.before is not None:
            factor = sharing.weight(terms.before.dealers[dealer], indexes)
            share = group.times(factor, share)
        found = group.plus(found, share)
    if not sharing.fits(found, [result.holders.verification[terms.index(member)]], 1):
        raise BadShare("the shares do not add up")
    return found


def digest(
    terms: Terms, transcript: Transcript, qualified: tuple[str, ...], holders: Holders
) -> bytes:
    """The hash under which parties confirm that they have computed the same.

    It covers the context, the members, the dealings that count with every sealed share, and the
    result; each part has its length in front, four bytes, most significant first.
    """
    parts: list[bytes] = [terms.context, terms.threshold.to_bytes(4, "big")]
    parts += [member.encode() for member in terms.members]
    for dealer in qualified:
        dealing = transcript.dealings[dealer]
        parts += [dealer.encode(), *dealing.commitments]
        parts += [dealing.sealed.get(member, b"") for member in terms.members]
    parts.append(holders.public)
    parts += [holders.verification[index] for index in sorted(holders.verification)]
    return CEREMONY(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
