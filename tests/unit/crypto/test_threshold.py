"""A key that is shared: t of n evaluate, t-1 know nothing, who lies is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import sealing
from ledger.crypto.oprf import ceremony, group, sharing, threshold, voprf
from ledger.crypto.oprf.ceremony import Before, CeremonyFailed, Dealing, Terms, Transcript
from ledger.crypto.oprf.sharing import BadShare, Polynomial
from ledger.crypto.oprf.threshold import Holders
from ledger.crypto.oprf.voprf import Evaluation

NAMES = ("n1", "n2", "n3", "n4")
TERMS = Terms(b"first", NAMES, threshold=3, tolerated=1)


class Party:
    """An honest party, and what it keeps to itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = sealing.SealingKey.generate()
        self.share = b""


class Play:
    """A ceremony as it is played, with every step in the open to be bent."""

    def __init__(self, terms: Terms, absent: tuple[str, ...] = ()) -> None:
        self.terms = terms
        self.parties = {name: Party(name) for name in terms.members if name not in absent}
        self.keys = {name: party.key.public for name, party in self.parties.items()}
        self.dealings: dict[str, Dealing] = {}
        self.polynomials: dict[str, Polynomial] = {}
        self.complaints: dict[str, set[str]] = {}
        self.answers: dict[str, dict[str, bytes]] = {}

    def deal(self, dealer: str, secret: bytes | None = None) -> Dealing:
        dealing, self.polynomials[dealer] = ceremony.deal(self.terms, dealer, self.keys, secret)
        self.dealings[dealer] = dealing
        return dealing

    def complain(self) -> None:
        for name, party in self.parties.items():
            for dealer in ceremony.complaints(self.terms, name, party.key, self.dealings):
                self.complaints.setdefault(dealer, set()).add(name)

    def answer(self, dealer: str) -> None:
        polynomial = self.polynomials[dealer]
        self.answers[dealer] = {
            name: polynomial.share(self.terms.index(name))
            for name in self.complaints.get(dealer, ())
        }

    @property
    def transcript(self) -> Transcript:
        return Transcript(self.keys, self.dealings, self.complaints, self.answers)

    def shares(self, result: ceremony.Outcome) -> dict[int, bytes]:
        return {
            self.terms.index(name): ceremony.own_share(
                self.terms, self.transcript, result, name, party.key
            )
            for name, party in self.parties.items()
        }


def played(terms: Terms = TERMS) -> tuple[Play, ceremony.Outcome]:
    play = Play(terms)
    for name in terms.dealers:
        play.deal(name)
    play.complain()
    assert not play.complaints
    return play, ceremony.outcome(terms, play.transcript)


def whole(shares: dict[int, bytes]) -> bytes:
    """The key, which nobody in a ceremony ever puts together."""
    found = group.ZERO
    for index, share in shares.items():
        found = group.plus(found, group.times(sharing.weight(index, list(shares)), share))
    return found


def answers(
    holders: Holders, shares: dict[int, bytes], asked: list[bytes]
) -> dict[int, Evaluation]:
    return {
        index: voprf.evaluate(share, holders.verification[index], asked)
        for index, share in shares.items()
    }


def test_the_key_is_made_and_every_three_of_four_hold_it() -> None:
    play, result = played()
    shares = play.shares(result)
    for some in combinations(shares, 3):
        key = whole({index: shares[index] for index in some})
        assert group.base(key) == result.holders.public
    for index, share in shares.items():
        assert group.base(share) == result.holders.verification[index]
    for some in combinations(shares, 2):
        assert group.base(whole({index: shares[index] for index in some})) != result.holders.public


def test_three_of_four_answer_as_one_server_with_the_whole_key_would() -> None:
    play, result = played()
    shares = play.shares(result)
    questions = [voprf.blind(text) for text in (b"a", b"b", b"a")]
    asked = [question.element for question in questions]
    given_answers = answers(result.holders, shares, asked)
    key = whole({index: shares[index] for index in (1, 2, 3)})
    expected = [
        voprf.output(text, group.multiply(key, voprf.point_of(text))) for text in (b"a", b"b", b"a")
    ]
    for some in combinations(given_answers, 3):
        combined = threshold.combine(
            result.holders, asked, {index: given_answers[index] for index in some}
        )
        assert threshold.finish(questions, combined) == expected
        assert combined.cheats == ()


def test_a_false_answer_is_named_and_another_takes_its_place() -> None:
    play, result = played()
    asked = [voprf.blind(b"a").element]
    good = answers(result.holders, play.shares(result), asked)
    lie = voprf.evaluate(group.random_scalar(), result.holders.verification[2], asked)
    combined = threshold.combine(result.holders, asked, {**good, 2: lie})
    assert combined.cheats == (2,)
    assert combined.used == (1, 3, 4)
    assert combined.elements == threshold.combine(result.holders, asked, good).elements
    with pytest.raises(threshold.TooFew) as refused:
        threshold.combine(result.holders, asked, {1: good[1], 2: lie, 3: good[3]})
    assert refused.value.cheats == (2,)


def test_the_answer_of_another_holder_or_of_nobody_counts_as_false() -> None:
    play, result = played()
    asked = [voprf.blind(b"a").element]
    good = answers(result.holders, play.shares(result), asked)
    with pytest.raises(threshold.TooFew) as refused:
        threshold.combine(result.holders, asked, {1: good[2], 2: good[1], 9: good[3]})
    assert refused.value.cheats == (1, 2, 9)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_any_t_of_n_shares_give_the_secret_and_its_verification_shares(
    sizes: tuple[int, int],
) -> None:
    n, t = sizes
    polynomial = Polynomial.random(t)
    commitments = polynomial.commitments()
    shares = {index: polynomial.share(index) for index in range(1, n + 1)}
    for index, share in shares.items():
        assert sharing.fits(share, commitments, index)
        assert not sharing.fits(group.plus(share, group.of_int(1)), commitments, index)
    some = dict(list(shares.items())[n - t :])
    assert whole(some) == polynomial.coefficients[0]


def test_shares_below_the_threshold_fit_every_secret() -> None:
    """What two of three shares say of the secret is nothing: for any other one there is a sharing
    with those same two shares."""
    polynomial = Polynomial.random(3)
    known = {index: polynomial.share(index) for index in (1, 2)}
    for guess in (group.of_int(1), group.random_scalar()):
        # The value at 3 that makes `guess` the value at zero, the two known shares staying.
        indexes = [1, 2, 3]
        rest = guess
        for index in (1, 2):
            part = group.times(sharing.weight(index, indexes), known[index])
            rest = group.minus(rest, part)
        third = group.times(rest, group.inverse(sharing.weight(3, indexes)))
        assert whole({**known, 3: third}) == guess


@pytest.mark.parametrize("among", [(1, 1, 2), (0, 1), (2, 3)])
def test_shares_are_combined_by_different_positive_indexes_alone(among: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="different, positive"):
        sharing.weight(1, among)


# --- Dealers that do not play along -------------------------------------------------------------


def test_a_silent_dealer_is_left_out_and_gets_a_share_all_the_same() -> None:
    play = Play(TERMS)
    for name in NAMES[:3]:
        play.deal(name)
    play.complain()
    result = ceremony.outcome(TERMS, play.transcript)
    assert result.qualified == NAMES[:3]
    assert result.faulty == {"n4": "silent"}
    assert set(play.shares(result)) == {1, 2, 3, 4}


def test_a_dealer_that_gives_one_member_a_false_share_must_show_it_or_is_left_out() -> None:
    for honest_answer, qualified in ((True, NAMES), (False, NAMES[1:])):
        play = Play(TERMS)
        for name in NAMES:
            play.deal(name)
        bad = play.dealings["n1"]
        play.dealings["n1"] = replace(bad, sealed={**bad.sealed, "n3": bad.sealed["n2"]})
        play.complain()
        assert play.complaints == {"n1": {"n3"}}
        if honest_answer:
            play.answer("n1")
        result = ceremony.outcome(TERMS, play.transcript)
        assert result.qualified == qualified
        shares = play.shares(result)
        assert group.base(whole({i: shares[i] for i in (1, 3, 4)})) == result.holders.public


def test_a_false_answer_to_a_complaint_is_as_bad_as_none() -> None:
    play = Play(TERMS)
    for name in NAMES:
        play.deal(name)
    bad = play.dealings["n1"]
    play.dealings["n1"] = replace(bad, sealed={**bad.sealed, "n3": b""})
    play.complain()
    play.answers = {"n1": {"n3": group.random_scalar()}}
    assert ceremony.outcome(TERMS, play.transcript).faulty == {"n1": "unanswered"}


def test_a_dealer_of_whom_more_complain_than_may_lie_is_left_out_whatever_it_answers() -> None:
    play = Play(TERMS)
    for name in NAMES:
        play.deal(name)
    play.dealings["n1"] = replace(play.dealings["n1"], sealed={})
    play.complain()
    assert play.complaints == {"n1": set(NAMES)}
    play.answer("n1")
    assert ceremony.outcome(TERMS, play.transcript).faulty == {"n1": "complaints"}


def test_one_liar_who_complains_of_all_drives_nobody_out() -> None:
    play = Play(TERMS)
    for name in NAMES:
        play.deal(name)
    play.complaints = {name: {"n4"} for name in NAMES}
    for name in NAMES:
        play.answer(name)
    result = ceremony.outcome(TERMS, play.transcript)
    assert result.qualified == NAMES
    # Only the liar's own shares were shown, which it knew.
    assert {name for shown in play.answers.values() for name in shown} == {"n4"}


def test_the_complaint_of_a_stranger_counts_for_nothing() -> None:
    play, _ = played()
    play.complaints = {"n1": {"x", "y", "z"}}
    assert ceremony.outcome(TERMS, play.transcript).qualified == NAMES


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_dealing_of_another_degree_is_left_out_without_a_complaint(count: int) -> None:
    play = Play(TERMS)
    for name in NAMES:
        play.deal(name)
    made = play.dealings["n2"].commitments
    play.dealings["n2"] = replace(play.dealings["n2"], commitments=(made * 2)[:count])
    play.complain()
    assert not play.complaints
    assert ceremony.outcome(TERMS, play.transcript).faulty == {"n2": "commitments"}


def test_a_dealing_with_the_identity_among_its_commitments_is_left_out() -> None:
    play = Play(TERMS)
    for name in NAMES:
        play.deal(name)
    made = play.dealings["n2"].commitments
    play.dealings["n2"] = replace(
        play.dealings["n2"], commitments=(made[0], made[1], group.IDENTITY)
    )
    assert ceremony.outcome(TERMS, play.transcript).faulty == {"n2": "commitments"}


def test_a_dealing_that_is_copied_from_another_dealer_opens_for_nobody() -> None:
    play = Play(TERMS)
    for name in NAMES[:3]:
        play.deal(name)
    play.dealings["n4"] = play.dealings["n1"]
    play.complain()
    assert play.complaints == {"n4": set(NAMES)}
    assert ceremony.outcome(TERMS, play.transcript).faulty == {"n4": "complaints"}


def test_without_more_dealers_than_may_lie_there_is_no_key() -> None:
    play = Play(TERMS)
    play.deal("n1")
    with pytest.raises(CeremonyFailed):
        ceremony.outcome(TERMS, play.transcript)


def test_dealers_whose_secrets_cancel_out_make_no_key() -> None:
    terms = Terms(b"zero", ("n1", "n2"), threshold=1, tolerated=0)
    play = Play(terms)
    secret = group.random_scalar()
    play.deal("n1", secret)
    play.deal("n2", group.minus(group.ZERO, secret))
    with pytest.raises(CeremonyFailed, match="zero"):
        ceremony.outcome(terms, play.transcript)


# --- Sharing anew -------------------------------------------------------------------------------


def renewed(
    before: ceremony.Outcome, shares: dict[int, bytes], dealers: dict[str, int], terms: Terms
) -> tuple[Play, ceremony.Outcome]:
    play = Play(terms)
    for name, index in dealers.items():
        play.deal(name, shares[index])
    play.complain()
    assert not play.complaints
    return play, ceremony.outcome(terms, play.transcript)


@pytest.mark.parametrize(
    ("members", "t", "dealers"),
    [
        (NAMES, 3, {"n1": 1, "n2": 2, "n3": 3, "n4": 4}),
        (("n2", "n4", "n5", "n6", "n7", "n8", "n9"), 5, {"n1": 1, "n3": 3, "n4": 4}),
    ],
)
def test_shares_are_renewed_and_the_key_stays(
    members: tuple[str, ...], t: int, dealers: dict[str, int]
) -> None:
    old_play, old = played()
    old_shares = old_play.shares(old)
    terms = Terms(b"second", members, t, (len(members) - 1) // 3, Before(old.holders, dealers))
    play, new = renewed(old, old_shares, dealers, terms)
    shares = play.shares(new)
    assert new.holders.public == old.holders.public
    assert new.holders.threshold == t
    assert group.base(whole({i: shares[i] for i in list(shares)[-t:]})) == old.holders.public
    # Two shares from before and one from after are of no use together.
    mixed = {1: old_shares[1], 2: old_shares[2], 3: shares[3]}
    assert group.base(whole(mixed)) != old.holders.public


def test_a_holder_that_deals_another_secret_than_its_share_is_left_out() -> None:
    old_play, old = played()
    shares = old_play.shares(old)
    terms = Terms(
        b"second", NAMES, 3, 1, Before(old.holders, {n: i + 1 for i, n in enumerate(NAMES)})
    )
    play = Play(terms)
    for name in NAMES[:3]:
        play.deal(name, shares[terms.index(name)])
    play.deal("n4", group.random_scalar())
    result = ceremony.outcome(terms, play.transcript)
    assert result.faulty == {"n4": "another-secret"}
    assert result.holders.public == old.holders.public


def test_fewer_holders_than_the_threshold_cannot_renew() -> None:
    old_play, old = played()
    shares = old_play.shares(old)
    terms = Terms(b"second", NAMES, 3, 1, Before(old.holders, {"n1": 1, "n2": 2}))
    play = Play(terms)
    for name in ("n1", "n2"):
        play.deal(name, shares[terms.index(name)])
    with pytest.raises(CeremonyFailed):
        ceremony.outcome(terms, play.transcript)


def test_everybody_computes_the_same_digest_and_any_change_changes_it() -> None:
    play, result = played()
    assert ceremony.outcome(TERMS, play.transcript).digest == result.digest
    bad = play.dealings["n1"]
    play.dealings["n1"] = replace(bad, sealed={**bad.sealed, "n1": b"other"})
    assert ceremony.outcome(TERMS, play.transcript).digest != result.digest


def test_a_member_that_lost_its_key_of_the_ceremony_has_no_share() -> None:
    play, result = played()
    with pytest.raises(BadShare):
        ceremony.own_share(TERMS, play.transcript, result, "n1", sealing.SealingKey.generate())
