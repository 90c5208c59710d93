"""Random days of two experts and two consultations: what counts is the time a dossier was open."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.contracts import DAY, HOUR, PATIENT, World, name_of

MINUTE = 60_000
SESSION = 4 * HOUR
EXPERTS = {"he": "city", "gao": "county"}
CASES = ("case-1", "case-2")


class Consultations(RuleBasedStateMachine):
    """The model keeps who is in which room since when, and what was counted."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.record = self.world.anchored(holder="township")
        for case in CASES:
            self.world.does(
                "wang", "consultation", "convene", id=case, subject=PATIENT, kind="mdt",
                institution="township", records=[name_of(self.record).hex()],
                experts=[{"person": who, "institution": where} for who, where in EXPERTS.items()],
                until=self.world.time + 14 * DAY, form=bytes(32),
            )  # fmt: skip
        self.rooms: dict[str, tuple[str, int]] = {}
        self.minutes = dict.fromkeys(EXPERTS, 0)
        self.lasted = dict.fromkeys(EXPERTS, 0)

    def _settle(self, who: str) -> int:
        _, joined = self.rooms.pop(who)
        spent = min(self.world.time - joined, SESSION)
        self.minutes[who] += spent // MINUTE
        self.lasted[who] += spent
        return spent // MINUTE

    def _inside(self, who: str, case: str) -> bool:
        place, joined = self.rooms.get(who, ("", 0))
        return place == case and self.world.time < joined + SESSION

    @rule(who=st.sampled_from(sorted(EXPERTS)), case=st.sampled_from(CASES))
    def joins(self, who: str, case: str) -> None:
        if any(self._inside(who, other) for other in CASES):
            assert self.world.refuses(who, "consultation", "join", id=case) == "in_a_session"
            return
        if who in self.rooms:
            self._settle(who)
        until = self.world.does(who, "consultation", "join", id=case)
        assert until == self.world.time + SESSION
        self.rooms[who] = (case, self.world.time)

    @rule(who=st.sampled_from(sorted(EXPERTS)), case=st.sampled_from(CASES))
    def leaves(self, who: str, case: str) -> None:
        if self.rooms.get(who, ("", 0))[0] != case:
            assert self.world.refuses(who, "consultation", "leave", id=case) == "not_in_session"
        else:
            assert self.world.does(who, "consultation", "leave", id=case) == self._settle(who)

    @rule(time=st.integers(1, 6 * HOUR))
    def waits(self, time: int) -> None:
        self.world.later(time)
        # Longer than a consultation may last nothing is asked of the model.
        if self.world.time > self.world.asks("consultation", "get", id=CASES[0])["until"] - DAY:
            self.__init__()  # type: ignore[misc]

    @rule(who=st.sampled_from(sorted(EXPERTS)), case=st.sampled_from(CASES))
    def asks(self, who: str, case: str) -> None:
        decision = self.world.requests(who, self.record, case=case)
        assert (decision["outcome"] == "permit") == self._inside(who, case)
        if decision["outcome"] == "permit":
            assert decision["expires"] <= self.rooms[who][1] + SESSION

    @invariant()
    def what_is_counted_is_what_was_spent(self) -> None:
        for who, where in EXPERTS.items():
            told = self.world.asks("consultation", "served", person=who, institution=where)
            assert told["minutes"] == self.minutes[who]
            assert told["minutes"] * MINUTE <= self.lasted[who]


TestConsultations = Consultations.TestCase
TestConsultations.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
