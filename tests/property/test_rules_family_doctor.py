"""Random lives of a team: nobody sees a record whose patient had no time to object."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World

PEOPLE = ("fan", "min", "wang", "xiao")
PATIENTS = {PATIENT: "k1", NEIGHBOUR: "k2"}
TEAM = {"institution": "township", "team": "t1"}


class Team(RuleBasedStateMachine):
    """The model keeps since when each member counts, and whom each patient keeps out."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.end = self.world.time + 300 * DAY
        self.world.does(
            "township-clerk", "family_doctor", "form_team", **TEAM, lead="fan", members=["fan"]
        )
        self.records = {who: self.world.anchored(subject=who) for who in PATIENTS}
        for who, contract in PATIENTS.items():
            self.world.does(
                who, "family_doctor", "sign", id=contract, subject=who, **TEAM, until=self.end
            )
        self.since = {"fan": self.world.time}
        self.kept_out: dict[str, set[str]] = {who: set() for who in PATIENTS}

    @rule(who=st.sampled_from(PEOPLE))
    def is_announced(self, who: str) -> None:
        if who in self.since:
            refused = self.world.refuses("fan", "family_doctor", "announce", **TEAM, person=who)
            assert refused == "already_a_member"
        else:
            self.since[who] = self.world.does(
                "fan", "family_doctor", "announce", **TEAM, person=who
            )
            assert self.since[who] == self.world.time + 7 * DAY

    @rule(who=st.sampled_from(PEOPLE[1:]))
    def is_removed(self, who: str) -> None:
        if who in self.since:
            self.world.does("fan", "family_doctor", "remove", **TEAM, person=who)
            del self.since[who]

    @rule(patient=st.sampled_from(sorted(PATIENTS)), who=st.sampled_from(PEOPLE))
    def is_kept_out(self, patient: str, who: str) -> None:
        if who in self.since and who not in self.kept_out[patient] and self.world.time < self.end:
            self.world.does(patient, "family_doctor", "object_to", id=PATIENTS[patient], person=who)
            self.kept_out[patient].add(who)

    @rule(hours=st.integers(1, 24 * 10))
    def waits(self, hours: int) -> None:
        self.world.later(hours * HOUR)

    @rule(patient=st.sampled_from(sorted(PATIENTS)), who=st.sampled_from(PEOPLE))
    def asks(self, patient: str, who: str) -> None:
        expected = (
            self.since.get(who, self.end) <= self.world.time < self.end
            and who not in self.kept_out[patient]
        )
        decision = self.world.requests(who, self.records[patient])
        assert (decision["outcome"] == "permit") == expected


TestTeam = Team.TestCase
TestTeam.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
