"""How the set of validators passes from hand to hand, provable from the genesis on.

The set that certifies a height is in the state of the block before it. A *handover* is a block
that was certified by one set and whose state names another for the next height. Who knows the first
set, that of the genesis, can therefore follow the handovers to the set of any height and needs
nothing of the blocks between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.chain import limits
from ledger.chain.block import (
    Certificate,
    Header,
    InvalidCertificate,
    ValidatorSet,
    check_header,
    verify_certificate,
)
from ledger.chain.codec import Malformed, Record, decode
from ledger.chain.constitution import VALIDATORS_KEY, validator_changes, validators_at
from ledger.chain.database import StoreUnusable
from ledger.chain.reader import StoreReader
from ledger.chain.statetree import StateProof, StateTree, verify_state_proof


class Handover(Record, frozen=True, array_like=True):
    """The last block of one validator set, and the proof of the schedule that names the next.

    ``value``: the canonical bytes of ``governance/validators`` after the block of ``header``.
    """

    header: Header
    certificate: Certificate
    value: bytes
    proof: StateProof


class InvalidProof(ValueError):
    """Something that does not prove what it should."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier starts from: the chain's id and the set that certifies height 1."""

    chain: bytes
    validators: ValidatorSet


class Succession:
    """The validators as they pass from hand to hand; starts with those of the genesis.

    ``validators``: the set that certifies the heights from ``since`` on.
    """

    def __init__(self, trust: Trust) -> None:
        self._chain = trust.chain
        self.validators = trust.validators
        self.since = 1

    def follow(self, handover: Handover) -> None:
        """Go on to the next set.

        Raises:
            InvalidProof: the handover is not good, is in vain, or is out of order.
        """
        header = handover.header
        if header.height < self.since:
            raise InvalidProof("a handover is out of order")
        check_final(self._chain, header, handover.certificate, self.validators)
        if len(handover.value) > limits.MAX_STATE_VALUE_BYTES or not verify_state_proof(
            header.state_root, VALIDATORS_KEY, handover.value, handover.proof
        ):
            raise InvalidProof("the validators of a handover are not in its state")
        following = _scheduled(handover.value, header.height + 1)
        if following.hash() == self.validators.hash():
            raise InvalidProof("a handover hands nothing over")
        self.validators = following
        self.since = header.height + 1


def validators_of(trust: Trust, height: int, handovers: Iterable[Handover]) -> ValidatorSet:
    """Follow handovers from the genesis to the set that certifies ``height``.

    Raises:
        InvalidProof: one of them is not good, is in vain, or is out of order.
    """
    succession = Succession(trust)
    for handover in handovers:
        if handover.header.height >= height:
            raise InvalidProof("a handover is out of order")
        succession.follow(handover)
    return succession.validators


def verify_final(
    trust: Trust, header: Header, certificate: Certificate, handovers: Iterable[Handover]
) -> ValidatorSet:
    """Check that a header is final on this chain; returns the set that made it so.

    Raises:
        InvalidProof: saying what is wrong.
    """
    if header.height < 1:
        raise InvalidProof("nobody certifies the genesis block")
    validators = validators_of(trust, header.height, handovers)
    check_final(trust.chain, header, certificate, validators)
    return validators


def check_final(
    chain: bytes, header: Header, certificate: Certificate, validators: ValidatorSet
) -> None:
    """Check that these validators made a header of this chain final; raises `InvalidProof`."""
    try:
        check_header(header)
        if header.chain != chain:
            raise InvalidProof("a block of another chain")
        verify_certificate(header, certificate, validators)
    except (Malformed, InvalidCertificate) as error:
        raise InvalidProof(f"block {header.height}: {error}") from None


def _scheduled(value: bytes, height: int) -> ValidatorSet:
    # The value is certified, so only a faulty quorum could make it something else than a schedule.
    try:
        return validators_at({VALIDATORS_KEY: value}.get, height)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise InvalidProof(f"no validators are scheduled for height {height}") from None


def handovers(store: StoreReader, height: int) -> tuple[Handover, ...]:
    """Those that lead from the genesis to the validator set of ``height``.

    Those before the store's base are kept whole, the others are made from the blocks. A height
    below the base has the first of the kept ones.

    Raises:
        StoreUnusable, TileMissing: the store lacks what it should hold.
    """
    tree = StateTree(store, cache=0)
    oldest = max(store.base() - 1, 1)
    kept = [_kept(raw) for raw in store.kept_handovers(height)]
    made = [
        _handover(store, tree, change - 1)
        for change in _changes(store, height)
        if change > oldest
        and _validators_hash(store, change) != _validators_hash(store, change - 1)
    ]
    return (*kept, *made)


def _kept(raw: bytes) -> Handover:
    try:
        return decode(raw, Handover, limit=limits.MAX_RECEIPT_BYTES)
    except Malformed as error:
        raise StoreUnusable(f"a kept handover is damaged: {error}") from None


def _changes(store: StoreReader, height: int) -> list[int]:
    """Every height up to the given one that any version of the schedule names, ascending."""
    changes: set[int] = set()
    for entry in store.history(VALIDATORS_KEY, height - 1):
        changes.update(validator_changes({VALIDATORS_KEY: entry.value}.get))
    return sorted(change for change in changes if change <= height)


def _validators_hash(store: StoreReader, height: int) -> bytes:
    header = store.header(height)
    if header is None:
        raise StoreUnusable(f"there is no block {height}")
    return header.validators


def _handover(store: StoreReader, tree: StateTree, height: int) -> Handover:
    header, certificate = store.header(height), store.certificate(height)
    value = store.value(VALIDATORS_KEY, height)
    if header is None or certificate is None or value is None:
        raise StoreUnusable(f"block {height} or its validators are missing")
    return Handover(header, certificate, value, tree.prove(VALIDATORS_KEY, height))
