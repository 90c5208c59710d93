"""What an author's test can do on the chain in memory."""

from datetime import UTC, datetime

import pytest

from ledger.contracts.machine import GenesisFailed
from ledger.workbench.chain import CallFailed, Chain
from ledger.workbench.consortium import INSTITUTIONS
from ledger.workbench.expectations import Expectations

VERBS = "denies, forbids, limits, permits, silent"
HEAD = f'"""A policy."""\nfrom ledger.contracts.prelude import {VERBS}, query\n'


def policy(answer: str) -> str:
    return f"{HEAD}\n@query\ndef decide(request: dict) -> dict:\n    return {answer}\n"


def test_an_authors_contract_is_asked_like_those_of_the_library() -> None:
    chain = Chain({"mine": policy('permits("always", why=7)')})
    decision = chain.person("physician", "county").asks_for(chain.record())
    assert decision["rule"] == "mine:always"
    assert decision["path"][0]["facts"] == {"why": 7}


def test_a_contract_of_the_library_can_be_replaced() -> None:
    chain = Chain({"recognition": policy('forbids("closed")')})
    decision = chain.person("physician", "county").asks_for(chain.record())
    assert decision["rule"] == "recognition:closed"


def test_a_contract_without_decide_is_not_asked() -> None:
    chain = Chain({"mine": f"{HEAD}\n@query\ndef count() -> int:\n    return 1\n"})
    assert chain.asks("mine", "count") == 1
    decision = chain.person("physician", "county").asks_for(chain.record())
    assert not any(rule.startswith("mine") for rule in decision["asked"])


def test_a_source_that_is_no_contract_does_not_found_a_chain() -> None:
    with pytest.raises(GenesisFailed, match="mine: "):
        Chain({"mine": "import os\n"})


def test_everything_that_binds_a_decision_is_passed_on() -> None:
    chain = Chain({
        "one": policy(
            'permits("yes", tell=["guardian"], review_by=900, delete_by=700, duties=["X"])'
        ),
        "two": policy('limits("less", tell=["auditor"], review_by=800)'),
        "three": policy('silent("nothing", tell=["employer"], review_by=1)'),
    })  # fmt: skip
    decision = chain.person("physician", "county").asks_for(chain.record())
    assert decision["tell"] == ["patient", "auditor", "guardian"]
    assert (decision["review_by"], decision["delete_by"]) == (800, 700)
    assert "X" in decision["obligations"]


def test_a_denial_tells_whom_its_own_rule_names_and_nobody_else() -> None:
    chain = Chain({
        "one": policy('permits("yes", tell=["guardian"])'),
        "two": policy('limits("less", tell=["auditor"])'),
        "three": policy('denies("no", tell=["employer"])'),
    })  # fmt: skip
    decision = chain.person("physician", "county").asks_for(chain.record())
    assert decision["tell"] == ["patient", "employer"]


@pytest.mark.parametrize("institution", INSTITUTIONS)
def test_somebody_with_a_role_is_found_or_entered(institution: str) -> None:
    chain = Chain()
    officer = chain.person("records-officer", institution)
    assert chain.person("records-officer", institution).name == officer.name
    entry = chain.entry(f"registry/people/{officer.name}")
    (affiliation,) = entry["affiliations"]
    assert (affiliation["institution"], affiliation["roles"]) == (institution, ["records-officer"])


def test_an_unknown_institution_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="the institutions are city"):
        Chain().person("physician", "nowhere")


def test_time_is_set_in_the_forms_people_write_and_does_not_go_back() -> None:
    chain = Chain()
    chain.moved_to("2027-01-01 08:00")
    assert chain.time == datetime(2027, 1, 1, 8, tzinfo=UTC).timestamp() * 1000
    chain.moved_to("2027-01-01T17:00:00+08:00")
    assert chain.time == datetime(2027, 1, 1, 9, tzinfo=UTC).timestamp() * 1000
    before = chain.time
    chain.passes(days=1, minutes=2)
    assert chain.time - before == 86_520_000
    with pytest.raises(ValueError, match="does not go back"):
        chain.moved_to(before)


def test_a_call_tells_its_events_and_its_gas() -> None:
    chain = Chain()
    patient = chain.patient()
    patient.permits("c1", purposes=["TREAT"])
    assert [event.name for event in chain.events] == ["declared"]
    assert chain.gas > 500


def test_a_failed_call_has_a_code_and_shows_its_line() -> None:
    chain = Chain()
    with pytest.raises(CallFailed, match=r"> +\d+ \|") as caught:
        chain.patient().withdraws("nothing")
    assert caught.value.code == "unknown_consent"


def test_a_contract_alone_is_asked_with_the_facts_that_access_gives() -> None:
    chain = Chain({"mine": policy('permits("always", seen=request)')})
    decision = chain.person("physician", "county").asks_for(chain.record())
    (step,) = decision["path"]
    alone = chain.decides("mine")["facts"]["seen"]
    assert step["facts"]["seen"].keys() == alone.keys()


def test_a_request_has_no_facts_but_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no request has diagnosis"):
        Chain().decides("consent", diagnosis="x")


class TestExpectations:
    """They pass where they should, and say what they found where not."""

    chain = Chain({"mine": policy('permits("always", until=5, duties=["DEID"])')})
    expect = Expectations(chain.sources)

    def test_a_permit(self) -> None:
        answer = self.chain.decides("mine")
        assert self.expect.permit(answer, "always", duties=["DEID"], until=5) is answer
        assert self.expect.permit(answer, "mine:always") is answer
        with pytest.raises(AssertionError, match="expected permit by other"):
            self.expect.permit(answer, "other")
        with pytest.raises(AssertionError, match="expected the duties AOD too"):
            self.expect.permit(answer, duties=["AOD"])
        with pytest.raises(AssertionError, match="expected it to end at 6, found 5"):
            self.expect.permit(answer, until=6)
        with pytest.raises(AssertionError, match=r"(?s)expected deny or forbid.*mine:6 permit"):
            self.expect.deny(answer)

    def test_a_denial(self) -> None:
        nurse = self.chain.person("insurer", "fund")
        decision = nurse.asks_for(self.chain.record())
        self.expect.deny(decision, "role-not-suited")
        with pytest.raises(
            AssertionError, match=r"(?s)expected permit.*relied on roles=\['insurer'\]"
        ):
            self.expect.permit(decision)

    def test_a_refusal(self) -> None:
        patient = self.chain.patient()
        with self.expect.refusal("unknown_consent"):
            patient.withdraws("nothing")
        with (
            pytest.raises(AssertionError, match="refusal other, found unknown_consent"),
            self.expect.refusal("other"),
        ):
            patient.withdraws("nothing")
        with (
            pytest.raises(AssertionError, match="but the call succeeded"),
            self.expect.refusal("other"),
        ):
            patient.permits("c9", purposes=["TREAT"])
        with pytest.raises(ZeroDivisionError), self.expect.refusal("other"):
            raise ZeroDivisionError
