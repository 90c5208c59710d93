"""Guardians and age: what may be read and said at any moment, against the published table.

The model is written from docs/contracts/rules/guardianship.md: it keeps who was entered when
and looks the answer up; it shares nothing with the contracts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contracts import CHILD, DAY, FATHER, HOUR, MOTHER, START, World, pointer

MONTH_14, MONTH_18 = (
    int(datetime(year, 10, 1, tzinfo=UTC).timestamp() * 1000) - 8 * HOUR for year in (2028, 2032)
)
#: Moments on both sides of each switch.
MOMENTS = [START, MONTH_14 - 1, MONTH_14, MONTH_14 + 200 * DAY, MONTH_18 - 1, MONTH_18]
PROOF = bytes(range(32))


@dataclass
class Model:
    """Who is a guardian, and which permissions there are: (who gave it, until when it lasts)."""

    entered: bool = False
    guardians: set[str] = field(default_factory=set)
    permits: list[int] = field(default_factory=list)

    def stage(self, now: int) -> str:
        if not self.entered or now >= MONTH_18:
            return "adult"
        return "youth" if now >= MONTH_14 else "child"

    def speaks(self, who: str, now: int) -> bool:
        stage = self.stage(now)
        if who == CHILD:
            return stage != "child"
        return who in self.guardians and stage != "adult"

    def reads(self, who: str, level: str, now: int) -> bool:
        stage = self.stage(now)
        levels = {"child": "NR", "youth": "N", "adult": ""}[stage]
        return who in self.guardians and level in levels

    def next_switch(self, now: int) -> int:
        return MONTH_14 if self.stage(now) == "child" else MONTH_18


actions = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from([MOTHER, FATHER])),
    st.tuples(st.just("end"), st.sampled_from([MOTHER, FATHER])),
    st.tuples(st.just("permit"), st.sampled_from([MOTHER, FATHER, CHILD])),
    st.tuples(st.just("go on"), st.just("")),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(actions, min_size=3, max_size=14))
def test_who_reads_and_speaks_is_as_the_table_says_at_every_moment(
    steps: list[tuple[str, str]],
) -> None:
    world, model = World(), Model()
    moments = iter(MOMENTS[1:])
    record = {level: pointer(subject=CHILD, confidentiality=level) for level in "NRV"}
    for found in record.values():
        world.does("city-1", "records", "anchor", pointer=found)
    for number, (what, who) in enumerate(steps):
        if what == "go on":
            world.time = next(moments, world.time)
        elif what == "enter":
            _enter(world, model, who)
        elif what == "end":
            result = world.call(
                who, "guardianship", "end", child=CHILD, guardian=who, reason="resigned"
            )
            assert result.ok == (who in model.guardians)
            model.guardians.discard(who)
        else:
            _permit(world, model, who, f"c{number}")
        for guardian in (MOTHER, FATHER):
            for level, found in record.items():
                decision = world.requests(guardian, found, "FAMRQT")
                assert (decision["outcome"] == "permit") == model.reads(guardian, level, world.time)
                assert decision["expires"] <= model.next_switch(world.time)
        outcome = world.requests("gao", record["N"])["outcome"]
        assert (outcome == "permit") == any(world.time < end for end in model.permits)


def _enter(world: World, model: Model, who: str) -> None:
    arguments: dict[str, Any] = {
        "child": CHILD, "guardian": who, "ground": "parent", "turns_14": MONTH_14,
        "institution": "city", "evidence": PROOF,
    }  # fmt: skip
    result = world.call("clerk,he", "guardianship", "enter", **arguments)
    # Who is 18 gets no guardian; who had one keeps the entry, in which it means nothing.
    possible = who not in model.guardians and (model.entered or world.time < MONTH_18)
    assert result.ok == possible, result.error
    if possible:
        model.entered = True
        model.guardians.add(who)


def _permit(world: World, model: Model, who: str, identity: str) -> None:
    scope = {"institutions": ["county"], "purposes": ["TREAT"]}
    result = world.call(who, "consent", "grant", id=identity, subject=CHILD, scope=scope)
    assert result.ok == model.speaks(who, world.time), result.error
    if result.ok:
        model.permits.append(2**60 if who == CHILD else model.next_switch(world.time))
