"""Whatever up to f parties of a ceremony do, the others come to one key that they hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import sealing
from ledger.crypto.oprf import ceremony, group, sharing
from ledger.crypto.oprf.ceremony import Before, Dealing, Outcome, Terms, Transcript
from ledger.crypto.oprf.sharing import Polynomial


@dataclass(frozen=True)
class Liar:
    """What one party does wrong. ``cheats``: to whom it seals nonsense; ``accuses``: of whom it
    complains without a reason; ``answer``: what it says to complaints."""

    deals: str
    cheats: frozenset[int]
    accuses: frozenset[int]
    answer: str


LIARS = st.builds(
    Liar,
    st.sampled_from(["well", "silent", "short", "identity", "garbage", "copied"]),
    st.frozensets(st.integers(0, 6), max_size=4),
    st.frozensets(st.integers(0, 6), max_size=7),
    st.sampled_from(["truth", "lie", "nothing"]),
)


class Theatre:
    """One ceremony with liars at given places."""

    def __init__(
        self, terms: Terms, liars: dict[str, Liar], secrets: dict[str, bytes] | None = None
    ) -> None:
        self.terms = terms
        self.liars = liars
        self.keys = {name: sealing.SealingKey.generate() for name in terms.members}
        public = {name: key.public for name, key in self.keys.items()}
        self.polynomials: dict[str, Polynomial] = {}
        dealings: dict[str, Dealing] = {}
        for dealer in terms.dealers:
            dealing, self.polynomials[dealer] = ceremony.deal(
                terms, dealer, public, (secrets or {}).get(dealer)
            )
            dealings[dealer] = dealing
        for dealer in list(dealings):
            if dealer in liars:
                self.bend(dealings, dealer, liars[dealer])
        accused: dict[str, set[str]] = {}
        for name in terms.members:
            for dealer in self.complaints(name, dealings):
                accused.setdefault(dealer, set()).add(name)
        answers = {
            dealer: shares
            for dealer, accusers in accused.items()
            if (shares := self.answers(dealer, accusers)) is not None
        }
        self.transcript = Transcript(public, dealings, accused, answers)

    def bend(self, dealings: dict[str, Dealing], dealer: str, liar: Liar) -> None:
        dealing = dealings[dealer]
        sealed = dict(dealing.sealed)
        for place in liar.cheats:
            sealed[self.terms.members[place % len(self.terms.members)]] = bytes(80)
        dealing = replace(dealing, sealed=sealed)
        if liar.deals == "silent":
            del dealings[dealer]
            return
        if liar.deals == "short":
            dealing = replace(dealing, commitments=dealing.commitments[:-1])
        elif liar.deals == "identity":
            dealing = replace(dealing, commitments=(*dealing.commitments[:-1], group.IDENTITY))
        elif liar.deals == "garbage":
            dealing = replace(dealing, commitments=(b"\xff" * 32,) * len(dealing.commitments))
        elif liar.deals == "copied":
            dealing = dealings.get(self.terms.dealers[0], dealing)
        dealings[dealer] = dealing

    def complaints(self, name: str, dealings: dict[str, Dealing]) -> set[str]:
        if name in self.liars:
            places = self.liars[name].accuses
            return {self.terms.dealers[place % len(self.terms.dealers)] for place in places}
        return set(ceremony.complaints(self.terms, name, self.keys[name], dealings))

    def answers(self, dealer: str, accusers: set[str]) -> dict[str, bytes] | None:
        shares = {name: self.polynomials[dealer].share(self.terms.index(name)) for name in accusers}
        liar = self.liars.get(dealer)
        if liar is None or liar.answer == "truth":
            return shares
        return None if liar.answer == "nothing" else dict.fromkeys(accusers, group.of_int(9))

    def honest_shares(self, result: Outcome) -> dict[int, bytes]:
        return {
            self.terms.index(name): ceremony.own_share(
                self.terms, self.transcript, result, name, self.keys[name]
            )
            for name in self.terms.members
            if name not in self.liars
        }


def check(theatre: Theatre) -> tuple[Outcome, dict[int, bytes]]:
    """Honest dealers count, honest members have their shares, and enough of them have the key."""
    terms = theatre.terms
    result = ceremony.outcome(terms, theatre.transcript)
    honest = [dealer for dealer in terms.dealers if dealer not in theatre.liars]
    if terms.before is None:
        assert set(honest) <= set(result.qualified)
    assert not set(honest) & set(result.faulty)
    shares = theatre.honest_shares(result)
    for index, share in shares.items():
        assert group.base(share) == result.holders.verification[index]
    for some in list(combinations(shares, terms.threshold))[:3]:
        key = group.ZERO
        for index in some:
            key = group.plus(key, group.times(sharing.weight(index, some), shares[index]))
        assert group.base(key) == result.holders.public
    return result, shares


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_liars_up_to_the_tolerated_number_change_nothing_for_the_others(
    data: st.DataObject,
) -> None:
    size = data.draw(st.sampled_from([1, 4, 5, 7]), "size")
    members = tuple(f"n{place}" for place in range(size))
    tolerated = (size - 1) // 3
    bad = data.draw(st.permutations(members), "bad")[:tolerated]
    liars = {name: data.draw(LIARS, name) for name in bad}
    terms = Terms(b"first", members, size - tolerated, tolerated)
    result, shares = check(Theatre(terms, liars))

    # Shared anew among others, some of whom lie as well: the key is the same.
    anew = (*members[1:], "new") if size > 1 else members
    worse = {name: data.draw(LIARS, f"{name} again") for name in bad if name in anew}
    holders = {name: terms.index(name) for name in members if name not in liars}
    before = Before(result.holders, holders)
    second = Terms(b"second", anew, terms.threshold, tolerated, before)
    secrets = {name: shares[index] for name, index in holders.items()}
    renewed, _ = check(Theatre(second, worse, secrets))
    assert renewed.holders.public == result.holders.public
