"""The rules by which a validator that starts votes, abstains, waits or stops."""

from __future__ import annotations

import pytest

from ledger.chain.block import Validator, ValidatorSet
from ledger.node.signing.standing import (
    PROBE_HEIGHTS,
    Abstain,
    Admission,
    Answer,
    Distrust,
    Memory,
    Standing,
    Stop,
    Verdict,
    Vote,
    Wait,
    behind,
    standing,
)
from ledger.node.signing.watermark import EVERY_VOTE, Mark

WHOLE = Standing(Memory.WHOLE)


def validators(size: int) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(f"n{place}", f"h{place}", bytes(33)) for place in range(size))
    )


def mark(height: int, votes: int = 0) -> Mark:
    return Mark(3, bytes(32), "n0", height, votes, 0)


def judged(known: Standing, height: int, *answers: Answer | int, size: int = 4) -> Verdict:
    """The verdict on n0 after n1, n2 … have answered, with heights where nothing else matters."""
    admission = Admission(known)
    for place, answer in enumerate(answers, 1):
        given = Answer(answer) if isinstance(answer, int) else answer
        admission.heard(f"n{place}", given)
    return admission.verdict(height, validators(size))


class TestWhatANodeKnowsAtItsStart:
    @pytest.mark.parametrize(
        ("height", "votes", "found", "expected"),
        [
            (None, 0, None, Standing(Memory.NONE)),
            (0, 0, None, Standing(Memory.NONE)),
            (0, 1, None, Standing(Memory.UNKNOWN)),
            (7, 0, None, Standing(Memory.UNKNOWN)),
            (7, 2, mark(8, 2), WHOLE),
            (7, 3, mark(8, 2), WHOLE),
            (7, 0, mark(7, 4), WHOLE),
            (7, 0, mark(3, 1), WHOLE),
            (7, 1, mark(8, 2), Standing(Memory.OLDER, 8)),
            (7, 2, mark(9, 1), Standing(Memory.OLDER, 9)),
            (7, 9, mark(8, EVERY_VOTE), Standing(Memory.OLDER, 8)),
            (8, 0, mark(8, EVERY_VOTE), WHOLE),
            (None, 0, mark(0), WHOLE),
            (None, 0, mark(9, 1), Standing(Memory.OLDER, 9)),
        ],
    )
    def test_follows_from_store_and_watermark(
        self, height: int | None, votes: int, found: Mark | None, expected: Standing
    ) -> None:
        assert standing(height, votes, found) == expected


class TestANodeWhoseStoreIsWhole:
    def test_votes_when_a_quorum_has_answered(self) -> None:
        assert isinstance(judged(WHOLE, 7, 7), Wait)
        assert judged(WHOLE, 7, 7, 7) == Vote()

    def test_waits_while_one_honest_node_has_more_blocks(self) -> None:
        assert isinstance(judged(WHOLE, 6, 7, 7), Wait)
        assert judged(WHOLE, 7, 10**9, 7) == Vote()

    def test_goes_on_at_once_with_all_the_others_that_lost_power_with_it(self) -> None:
        for height in (6, 7):
            others = [7, 7, 6]
            assert judged(WHOLE, height, *others) == (
                Vote() if height == 7 else judged(WHOLE, 6, 7, 7)
            )

    def test_abstains_where_others_show_a_signature_that_it_does_not_have(self) -> None:
        assert judged(WHOLE, 7, Answer(7, forgotten=8)) == Abstain(8)

    def test_needs_nothing_more_of_a_signature_at_a_height_that_is_final(self) -> None:
        assert judged(WHOLE, 8, Answer(7, forgotten=8), 8) == Vote()

    def test_does_not_count_answers_of_nodes_without_a_vote(self) -> None:
        admission = Admission(WHOLE)
        for node in ("x", "y", "z"):
            admission.heard(node, Answer(7))
        assert isinstance(admission.verdict(7, validators(4)), Wait)

    def test_forgets_the_answer_of_a_node_that_is_gone(self) -> None:
        admission = Admission(WHOLE)
        admission.heard("n1", Answer(7))
        admission.heard("n2", Answer(7))
        admission.lost("n2")
        assert isinstance(admission.verdict(7, validators(4)), Wait)

    def test_was_put_back_with_its_watermark_where_blocks_carry_its_later_signature(self) -> None:
        admission = Admission(WHOLE)
        assert admission.signed(8) == Distrust()
        admission.distrust()
        for place in (1, 2, 3):
            admission.heard(f"n{place}", Answer(9))
        assert admission.verdict(9, validators(4)) == Abstain(9 + 2 + PROBE_HEIGHTS)

    def test_alone_waits_for_nobody(self) -> None:
        assert judged(WHOLE, 0, size=1) == Vote()


class TestANodeWhoseStoreIsOlderThanItsWatermark:
    OLDER = Standing(Memory.OLDER, 9)

    def test_does_not_vote_up_to_the_height_of_the_watermark(self) -> None:
        for height in (6, 7, 8):
            verdict = judged(self.OLDER, height, height, height, height)
            assert isinstance(verdict, Wait)
            assert "up to height 9" in verdict.reason

    def test_expects_its_signature_on_blocks_up_to_it(self) -> None:
        admission = Admission(self.OLDER)
        assert admission.signed(9) is None
        assert admission.signed(10) == Distrust()

    def test_votes_above_it(self) -> None:
        assert judged(self.OLDER, 9, 9, 9) == Vote()

    def test_takes_a_signature_above_what_could_be_its_own_for_that_of_another_process(
        self,
    ) -> None:
        admission = Admission(self.OLDER)
        for place in (1, 2, 3):
            admission.heard(f"n{place}", Answer(9))
        assert admission.verdict(9, validators(4)) == Vote()
        admission.heard("n2", Answer(12, forgotten=12))
        assert admission.verdict(9, validators(4)) == Stop(12)


class TestANodeThatNothingVouchesFor:
    UNKNOWN = Standing(Memory.UNKNOWN)

    def test_asks_a_whole_quorum_of_others(self) -> None:
        assert isinstance(judged(self.UNKNOWN, 7, 7, 7), Wait)

    def test_abstains_beyond_what_any_of_them_can_have_seen_it_sign(self) -> None:
        assert judged(self.UNKNOWN, 7, 7, 8, 7) == Abstain(8 + 2 + PROBE_HEIGHTS)
        assert judged(self.UNKNOWN, 9, 7, 8, 7) == Abstain(9 + 2 + PROBE_HEIGHTS)

    def test_abstains_further_where_others_show_more(self) -> None:
        assert judged(self.UNKNOWN, 7, 7, Answer(7, forgotten=15), 7) == Abstain(15)

    def test_is_told_of_the_way_out_where_there_are_too_few_to_ask(self) -> None:
        verdict = judged(self.UNKNOWN, 7, 7, 7, size=3)
        assert isinstance(verdict, Wait)
        assert "node vouch" in verdict.reason

    def test_votes_once_the_others_have_decided_so_far(self) -> None:
        admission = Admission(self.UNKNOWN)
        for place in (1, 2, 3):
            admission.heard(f"n{place}", Answer(7))
        decided = admission.verdict(7, validators(4))
        assert decided == Abstain(11)
        admission.abstain(11)
        assert isinstance(admission.verdict(10, validators(4)), Wait)
        assert admission.verdict(11, validators(4)) == Vote()

    def test_expects_its_old_signatures_up_to_two_heights_and_no_others(self) -> None:
        admission = Admission(self.UNKNOWN)
        assert admission.signed(40) is None
        for place in (1, 2, 3):
            admission.heard(f"n{place}", Answer(7))
        admission.verdict(7, validators(4))
        assert admission.signed(9) is None
        assert admission.signed(10) == Stop(10)


class TestANodeWithAnEmptyStore:
    NONE = Standing(Memory.NONE)

    def test_votes_when_the_chain_begins(self) -> None:
        assert judged(self.NONE, 0, 0, 0) == Vote()

    def test_may_have_lost_everything_where_a_chain_exists(self) -> None:
        assert isinstance(judged(self.NONE, 0, 0, 5), Wait)
        assert judged(self.NONE, 0, 0, 5, 5) == Abstain(9)


class TestBeingBehind:
    @pytest.mark.parametrize(
        ("height", "claims", "size", "is_behind"),
        [
            (7, [7, 7], 4, False),
            (6, [7, 7], 4, True),
            (0, [7, 7, 7], 4, True),
            (7, [0, 7, 7], 4, False),
            (7, [10**9, 7, 7], 4, False),
            (7, [9, 9, 7, 7], 7, False),
            (7, [9, 9, 9, 7], 7, True),
        ],
    )
    def test_takes_more_claims_than_there_may_be_liars(
        self, height: int, claims: list[int], size: int, is_behind: bool
    ) -> None:
        assert behind(height, claims, validators(size)) is is_behind
