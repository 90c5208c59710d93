"""Evaluating with t of n shares of a key that is nowhere whole.

Each holder is an RFC 9497 server with its share as the key and its verification share as the public
key. What t of them answer, weighted by Lagrange's coefficients, is what one server with the whole
key would have answered; and each answer has its own proof, so that a wrong one is known by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.crypto.oprf import group, sharing, voprf
from ledger.crypto.oprf.voprf import Blinded, Evaluation


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds shares of a key. ``verification``: index, from 1 → verification share."""

    public: bytes
    threshold: int
    verification: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Combined:
    """What holders answered together. ``cheats``: the indexes whose answers were false."""

    elements: tuple[bytes, ...]
    used: tuple[int, ...]
    cheats: tuple[int, ...]


class TooFew(ValueError):
    """Fewer than t good answers. ``cheats``: the indexes whose answers were false."""

    def __init__(self, good: int, threshold: int, cheats: tuple[int, ...]) -> None:
        super().__init__(f"{good} good answers where {threshold} are needed")
        self.cheats = cheats


def honest(holders: Holders, index: int, answer: Evaluation, asked: Sequence[bytes]) -> bool:
    """Whether a holder's answer is its share times what it was asked about."""
    public = holders.verification.get(index)
    if public is None:
        return False
    try:
        voprf.check(answer, public, asked)
    except voprf.ProofFailed:
        return False
    return True


def combine(
    holders: Holders, asked: Sequence[bytes], answers: Mapping[int, Evaluation]
) -> Combined:
    """What the whole key would have answered.

    Args:
        asked: blinded elements, as they were sent.
        answers: by index of the holder; more than t are no harm, and only as many are looked at
            as are needed.

    Raises:
        TooFew: there are not t good ones; it names those that were false.
    """
    good: list[int] = []
    cheats: list[int] = []
    for index in sorted(answers):
        if len(good) == holders.threshold:
            break
        (good if honest(holders, index, answers[index], asked) else cheats).append(index)
    if len(good) < holders.threshold:
        raise TooFew(len(good), holders.threshold, tuple(cheats))
    weights = [sharing.weight(index, good) for index in good]
    elements = tuple(
        group.weighted(
            (factor, answers[index].elements[place])
            for factor, index in zip(weights, good, strict=True)
        )
        for place in range(len(asked))
    )
    return Combined(elements, tuple(good), tuple(cheats))


def finish(questions: Sequence[Blinded], combined: Combined) -> list[bytes]:
    """The outputs of the function for the inputs that were blinded, in their order."""
    return [
        voprf.finalize(question, element)
        for question, element in zip(questions, combined.elements, strict=True)
    ]
