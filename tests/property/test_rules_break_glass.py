"""Random lives of physicians who break the glass and auditors who judge it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.contracts import DAY, HOUR, NOTE, PATIENT, World

PHYSICIANS = st.sampled_from(["he", "gao", "wang"])


class BreakGlass(RuleBasedStateMachine):
    """The model keeps the due times of open reviews and the end of each bar."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.record = self.world.anchored(confidentiality="V")
        self.world.does(PATIENT, "consent", "deny", id="c", subject=PATIENT, scope={})
        self.open: dict[str, tuple[str, int]] = {}
        self.barred: dict[str, int] = {}

    @rule(who=PHYSICIANS)
    def breaks(self, who: str) -> None:
        decision = self.world.breaks_glass(who, self.record)
        now = self.world.time
        overdue = any(person == who and due <= now for person, due in self.open.values())
        if now < self.barred.get(who, 0):
            assert decision["rule"] == "access:barred-after-abuse"
        elif overdue:
            assert decision["rule"] == "access:review-overdue"
        else:
            assert decision["rule"] == "access:break-glass"
            self.open[decision["id"]] = (who, now + 72 * HOUR)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), upheld=st.booleans())
    def reviews(self, data: st.DataObject, upheld: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        self.world.does("auditor", "access", "review", request=request, upheld=upheld, note=NOTE)
        who, _ = self.open.pop(request)
        if not upheld:
            self.barred[who] = self.world.time + 30 * DAY

    @rule(hours=st.integers(1, 100))
    def waits(self, hours: int) -> None:
        self.world.later(hours * HOUR)

    @rule(who=PHYSICIANS)
    def an_ordinary_request_stays_denied(self, who: str) -> None:
        assert self.world.requests(who, self.record)["outcome"] == "deny"


TestBreakGlass = BreakGlass.TestCase
TestBreakGlass.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
