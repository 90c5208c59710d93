"""Random lives of physicians who break the glass and auditors who judge it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.contracts import DAY, HOUR, NOTE, PATIENT, World

PHYSICIANS = st.sampled_from(["he", "gao", "wang"])


class BreakGlass(RuleBasedStateMachine):
    """The model keeps the due times of open reviews, the end of each bar, how often each was found
    to have abused it, and until when a person's newest emergency goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.record = self.world.anchored(confidentiality="V")
        self.world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={})
        self.open: dict[str, tuple[str, int]] = {}
        self.barred: dict[str, int] = {}
        self.abuses: dict[str, int] = {}
        self.newest: dict[str, tuple[str, int]] = {}

    @rule(who=PHYSICIANS)
    def breaks(self, who: str) -> None:
        decision = self.world.breaks_glass(who, self.record)
        now = self.world.time
        overdue = any(person == who and due <= now for person, due in self.open.values())
        newest, until = self.newest.get(who, ("", 0))
        if now < self.barred.get(who, 0):
            assert decision["rule"] == "emergency:barred-after-abuse"
        elif newest in self.open and now < until:
            assert (decision["rule"], decision["case"]) == ("emergency:break-glass", newest)
        elif overdue:
            assert decision["rule"] == "emergency:review-overdue"
        else:
            assert decision["rule"] == "emergency:break-glass"
            assert decision["case"] == decision["id"]
            self.open[decision["id"]] = (who, now + 72 * HOUR)
            self.newest[who] = (decision["id"], now + 24 * HOUR)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), upheld=st.booleans())
    def reviews(self, data: st.DataObject, upheld: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        self.world.does(
            "auditor", "emergency", "review", emergency=request, institution="board",
            upheld=upheld, note=NOTE,
        )  # fmt: skip
        who, _ = self.open.pop(request)
        if not upheld:
            self.abuses[who] = self.abuses.get(who, 0) + 1
            self.barred[who] = self.world.time + self.abuses[who] * 30 * DAY

    @rule(hours=st.integers(1, 100))
    def waits(self, hours: int) -> None:
        self.world.later(hours * HOUR)

    @rule(who=PHYSICIANS)
    def an_ordinary_request_stays_denied(self, who: str) -> None:
        assert self.world.requests(who, self.record)["outcome"] == "deny"


TestBreakGlass = BreakGlass.TestCase
TestBreakGlass.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
