"""What a chain tells about how its members work, from the events of the real contracts."""

from collections.abc import Mapping
from typing import Any

import pytest

from ledger.audit.indicators.happenings import Happening
from ledger.audit.indicators.keeping import Kept, NotKept, load, save
from ledger.audit.indicators.report import Answer, Question, answers, end_of, quantile
from ledger.audit.indicators.tally import Tally, month_of
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from tests.support.contracts import DAY, HOUR, NEIGHBOUR, NOTE, PATIENT, START, World, name_of

FORM = bytes(range(32))
MINUTE = 60_000
READING = {"clinic": "township", "centre": "city", "modality": "ecg"}


class Watched(World):
    """A consortium of whose events a tally is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()

    def call(self, signers: str, contract: str, method: str, **arguments: Any) -> CallResult:
        result = super().call(signers, contract, method, **arguments)
        for event in result.events:
            self.tally.take(
                Happening(
                    self.height, self.time, event.contract, event.name, event.fields,
                    Call(contract, method, arguments), result.value,
                )
            )  # fmt: skip
        return result

    def tells(self, **question: Any) -> dict[str, Answer]:
        kept = Kept("", 1, self.height, "", self.time, self.tally)
        counties = {"city": "Baota", "county": "Ansai", "township": "Ansai"}
        found = answers(kept, Question(**question), lambda place: counties.get(place, "Elsewhere"))
        return {answer.indicator.name: answer for answer in found}


@pytest.fixture
def world() -> Watched:
    return Watched()


def numbers(answer: Answer) -> Any:
    """The number, or for a sum the numbers of its parts by name."""

    def told(value: Mapping[str, Any]) -> Any:
        if value["parts"] is None:
            return value["number"] and (value["number"], None)
        if not value["parts"]:
            return value["number"]
        return {name: told(part) for name, part in value["parts"].items()}

    return told(answer.as_json())


def test_requests_are_told_by_answer_and_purpose_and_denials_by_rule(world: Watched) -> None:
    record = world.anchored()
    world.does(
        PATIENT, "consent", "grant", id="c", subject=PATIENT,
        scope={"institutions": ["county"], "purposes": ["TREAT"]},
    )  # fmt: skip
    for _ in range(6):
        world.requests("gao", record)
        world.requests("wang", record)
    for _ in range(5):
        world.requests("gao", record, "HQUALIMP")
    told = world.tells()
    assert numbers(told["requests"]) == {
        "permitted": {"TREAT": 6}, "denied": {"TREAT": 6, "HQUALIMP": 5},
    }  # fmt: skip
    assert numbers(told["denials"]) == {"access:nothing-permits": 11}
    by_county = numbers(world.tells(by="county")["requests"])
    assert by_county["permitted"] == {"TREAT": {"Ansai": 6}}
    by_institution = numbers(world.tells(by="institution")["requests"])
    assert by_institution["denied"]["TREAT"] == {"Ansai": {"township": 6}}
    assert numbers(world.tells(by="month")["requests"])["permitted"] == {"TREAT": {"2026-05": 6}}


def test_few_requests_are_not_told_and_their_denials_neither(world: Watched) -> None:
    record = world.anchored()
    for _ in range(4):
        world.requests("wang", record)
    told = world.tells()
    assert told["requests"].shown.number is None
    assert told["denials"].shown.number is None
    # By rule the denials would be another way to the number that is hidden by purpose.
    for _ in range(30):
        world.requests(PATIENT, record, "PATRQT")
    told = world.tells()
    assert told["requests"].shown.number == 34
    assert numbers(told["requests"]) == {"denied": None, "permitted": None}
    assert told["denials"].shown.number is None


def test_a_sealed_decision_is_counted_once(world: Watched) -> None:
    record = world.anchored(kind="encounter")
    date = world.time + 5 * DAY
    world.does(
        "sergeant,auditor", "cross_sector", "order", id="o", entry="judicial-order",
        subject=PATIENT, department="police", holder="city", ends=world.time + 9 * DAY,
        classes=["encounter"], document=FORM, authority="board", told=date,
    )  # fmt: skip
    requests = [world.requests("sergeant", record, "HLEGAL", case="o")["id"] for _ in range(3)]
    world.later(5 * DAY)
    for request in requests:
        world.does(PATIENT, "access", "unseal", request=request)
    world.does(PATIENT, "cross_sector", "tell", id="o")
    assert numbers(world.tells(least=3)["requests"]) == {"permitted": {"HLEGAL": 3}}
    assert world.tally.counts.total() == 4


def test_recognised_results_are_repeats_avoided(world: Watched) -> None:
    world.does(PATIENT, "recognition", "check_in", institution="county", subject=PATIENT)
    for number in range(8):
        request = world.requests("gao", world.anchored(size=number))["id"]
        if number < 5:
            world.does("gao", "recognition", "recognise", request=request)
        else:
            world.does("gao", "recognition", "refuse", request=request, code="quality")
    told = world.tells(least=3, by="county")["recognition"]
    assert numbers(told) == {"recognised": {"Ansai": 5}, "refused": {"quality": {"Ansai": 3}}}
    assert told.shares["repeats avoided"] == {"": 625, "Ansai": 625}


def refer(world: Watched, identity: str) -> None:
    world.does(
        f"he,{PATIENT}", "referral", "create", id=identity, subject=PATIENT, source="city",
        target="township", records=["ab" * 32], until=world.time + 30 * DAY,
    )  # fmt: skip


def test_referrals_are_told_by_direction_and_by_what_has_become_of_them(world: Watched) -> None:
    for number in range(15):
        refer(world, f"r{number}")
        if number < 9:
            world.does("wang", "referral", "accept", id=f"r{number}")
        elif number < 12:
            world.does("wang", "referral", "decline", id=f"r{number}", reason="no-bed")
        if number < 6:
            outcome = "returned" if number < 3 else "stays"
            world.does("wang", "referral", "close", id=f"r{number}", outcome=outcome)
    told = world.tells(least=3)
    assert told["referrals up"].shown.number == 0
    assert numbers(told["referrals down"]) == {
        "returned": 3, "stays": 3, "accepted": 3, "declined": 3, "waiting": 3,
    }  # fmt: skip
    assert told["referrals down"].shares == {"accepted": {"": 600}, "returned": {"": 500}}
    world.later(30 * DAY)
    told = world.tells(least=3, by="county")
    assert numbers(told["referrals down"]) == {
        "returned": {"Baota": 3}, "stays": {"Baota": 3}, "declined": {"Baota": 3},
        "lapsed": {"Baota": 6},
    }  # fmt: skip
    # What the end of May looked like, is told also later.
    told = world.tells(least=3, last="2026-05")
    assert (told["referrals down"].shown.parts or {})["waiting"].number == 3


def read(world: Watched, identity: str, minutes: int, *, critical: bool = False) -> None:
    record = world.anchored(holder="township", kind="ecg", size=int(identity[1:]))
    world.does(
        "wang", "reading", "order", id=identity, subject=PATIENT, **READING,
        records=[name_of(record).hex()], form=FORM,
    )  # fmt: skip
    world.later(minutes * MINUTE)
    world.does("he", "reading", "claim", id=identity)
    report = name_of(world.anchored(kind="note", size=int(identity[1:]))).hex()
    world.does("he", "reading", "report", id=identity, record=report, critical=critical)


def test_readings_tell_how_long_they_took_and_who_heard_of_critical_values(world: Watched) -> None:
    for governor in ("township-chief", "chief"):
        world.does(governor, "reading", "agree", **READING, report=60, acknowledge=10)
    for number in range(1, 10):
        read(world, f"o{number}", 10 * number, critical=True)
        if number <= 6:
            world.later((20 if number <= 3 else 5) * MINUTE)
            world.does("wang", "reading", "acknowledge", id=f"o{number}")
    world.later(HOUR)
    told = world.tells(least=3, by="county")
    assert numbers(told["readings"]) == {"in time": {"Ansai": 6}, "late": {"Ansai": 3}}
    assert told["readings"].minutes == {
        "": {"median": 50, "p90": 90}, "Ansai": {"median": 50, "p90": 90},
    }  # fmt: skip
    assert told["readings"].shares == {"in time": {"": 667, "Ansai": 667}}
    assert numbers(told["critical values"]) == {
        "heard late": {"Ansai": 3}, "heard in time": {"Ansai": 3}, "not heard": {"Ansai": 3},
    }  # fmt: skip
    assert told["critical values"].shares["heard in time"] == {"": 333, "Ansai": 333}


def test_hours_of_service_are_told_of_groups_and_never_of_one_person(world: Watched) -> None:
    for number, person in enumerate(["he", "gao", "wang"], start=1):
        home = world.home(person)
        world.does(person, "staff_work", "begin", id=person, home=home, place="county",
                   activity="teaching")  # fmt: skip
        world.later(number * HOUR)
        world.does(person, "staff_work", "end", id=person)
        world.does("county-qc", "staff_work", "confirm", id=person)
    told = world.tells(least=3, by="institution")["service"]
    assert numbers(told) == {"Ansai": {"county": 3}}
    assert told.minutes["Ansai/county"] == {"together": 360, "each, median": 120}
    assert world.tells(least=4)["service"].minutes == {}


def test_consultations_count_the_minutes_in_the_room(world: Watched) -> None:
    world.does(
        "wang", "consultation", "convene", id="c1", subject=PATIENT, institution="township",
        kind="consultation", records=["ab" * 32], until=world.time + DAY, form=FORM,
        experts=[{"person": "he", "institution": "city"}],
    )  # fmt: skip
    world.does("he", "consultation", "join", id="c1")
    world.later(30 * MINUTE).does("he", "consultation", "leave", id="c1")
    assert world.tells()["consultations"].shown.number is None
    assert dict(world.tally.shares) == {("consultations", "he", "city", "2026-05"): 30}


def test_emergencies_are_waiting_overdue_upheld_or_abuse(world: Watched) -> None:
    def judged(emergency: str, *, upheld: bool) -> None:
        world.does(
            "auditor", "emergency", "review", emergency=emergency, institution="board",
            upheld=upheld, note=NOTE,
        )  # fmt: skip

    record = world.anchored()
    for _ in range(3):
        emergency = world.breaks_glass("gao", record)["id"]
        # One more record in the same emergency is no other emergency.
        world.breaks_glass("gao", world.anchored(size=world.height))
        judged(emergency, upheld=True)
        world.later(25 * HOUR)
    open_ones = [world.breaks_glass(person, record)["id"] for person in ("he", "gao", "wang")]
    assert numbers(world.tells(least=3)["emergencies"]) == {"upheld": 3, "waiting": 3}
    world.later(73 * HOUR)
    assert numbers(world.tells(least=3)["emergencies"]) == {"upheld": 3, "overdue": 3}
    for emergency in open_ones:
        judged(emergency, upheld=False)
    told = world.tells(least=3, by="county")["emergencies"]
    assert told.shares == {"abuse": {"": 500}}
    assert numbers(world.tells(least=3)["emergencies"]) == {"upheld": 3, "abuse": 3}


def test_consents_and_contracts_in_force_are_those_of_the_end(world: Watched) -> None:
    for number in range(6):
        scope: dict[str, Any] = {"purposes": ["TREAT"]}
        if number < 2:
            scope["end"] = world.time + 10 * DAY
        world.does(PATIENT, "consent", "grant", id=f"c{number}", subject=PATIENT, scope=scope)
    world.does(PATIENT, "consent", "withdraw", id="c5")
    assert numbers(world.tells()["consents"]) == {"in force": 5}
    world.later(10 * DAY)
    world.requests("wang", world.anchored())
    assert numbers(world.tells(least=3)["consents"]) == {"in force": 3}
    # In May the two with an end were still in force.
    assert numbers(world.tells(last="2026-05")["consents"]) == {"in force": 5}


def test_reports_claims_and_departments_are_counted(world: Watched) -> None:
    for number in range(6):
        world.does(
            "gao", "public_health", "report", id=f"n{number}", schedule="within-24-hours",
            subject=NEIGHBOUR, source="county", receiver="cdc", matter=FORM,
            found=world.time - (1 if number < 3 else 30) * HOUR,
        )  # fmt: skip
        world.does(
            "clerk", "insurance", "claim", id=f"k{number}", subject=PATIENT, hospital="city",
            insurer="fund", service="inpatient", records=["ab" * 32],
        )  # fmt: skip
        world.does("payer", "insurance", "settle", id=f"k{number}", result="paid")
        world.does(
            PATIENT, "cross_sector", "agree", id=f"x{number}", entry="school-health",
            subject=PATIENT, department="school", holder="city", ends=world.time + DAY,
        )  # fmt: skip
    told = world.tells(least=3)
    assert numbers(told["reports"]) == {"in time": 3, "late": 3}
    assert told["reports"].shares == {"in time": {"": 500}}
    assert numbers(told["claims"]) == {"paid": 6}
    assert numbers(told["departments"]) == {"consent": 6}


def test_agreements_to_research_in_force(world: Watched) -> None:
    for subject in (PATIENT, NEIGHBOUR):
        world.does(
            subject, "research", "join", subject=subject, study="broad", uses=[["GRU"]], level="N",
            ends=world.time + DAY,
        )  # fmt: skip
    assert len([item for item in world.tally.items if item[0] == "cohorts"]) == 2
    assert world.tells()["cohorts"].shown.number is None
    for subject in (PATIENT, NEIGHBOUR):
        world.does(subject, "research", "leave", subject=subject, study="broad")
    assert world.tells()["cohorts"].shown.number == 0


def test_chronic_care_tells_who_is_enrolled_and_whether_follow_ups_are_in_time(
    world: Watched,
) -> None:
    world.does(
        "chief", "chronic", "begin", programme="k7", institution="city", kinds=["laboratory"],
        level="N", followup_days=90, participants=["township"],
    )  # fmt: skip
    for subject in (PATIENT, NEIGHBOUR):
        world.does(
            subject, "chronic", "enrol", programme="k7", subject=subject, institution="township",
            doctors=[{"person": "wang", "institution": "township"}],
            until=world.time + 365 * DAY,
        )  # fmt: skip
    # Due every ninety days: three times in time, then once late.
    for pause in (80, 80, 80, 100):
        world.later(pause * DAY)
        for subject in (PATIENT, NEIGHBOUR):
            world.does("wang", "chronic", "follow_up", programme="k7", subject=subject)
    told = world.tells(least=3, by="county")["follow-ups"]
    assert numbers(told) == {"in time": None, "late": None}
    assert (told.shown.number, told.shares["in time"]) == (8, {})
    enrolled = [item for (family, _), item in world.tally.items.items() if family == "chronic care"]
    assert [item.at(world.time) for item in enrolled] == [("in force", START + 365 * DAY)] * 2
    world.does(PATIENT, "chronic", "leave", programme="k7", subject=PATIENT)
    assert [item.at(world.time)[0] for item in enrolled] == ["ended", "in force"]
    world.later(25 * DAY)
    assert world.tells()["chronic care"].shown.number == 0


# --- Months and files -----------------------------------------------------------------------------


def test_months_are_those_of_chinese_time() -> None:
    assert month_of(START) == "2026-05"
    june = end_of("2026-05")
    assert (month_of(june - 1), month_of(june)) == ("2026-05", "2026-06")
    assert month_of(end_of("2026-12")) == "2027-01"


def test_only_the_months_asked_for_are_counted(world: Watched) -> None:
    record = world.anchored()
    for _ in range(5):
        world.requests("wang", record)
    world.later(10 * DAY)
    for _ in range(6):
        world.requests("wang", record)
    assert world.tells(first="2026-06")["requests"].shown.number == 6
    assert world.tells(last="2026-05")["requests"].shown.number == 5
    assert world.tells()["requests"].shown.number == 11
    assert world.tells(first="2026-07")["requests"].shown.number == 0


def test_the_nearest_rank_is_the_percentile() -> None:
    from collections import Counter

    assert quantile(Counter([1, 2, 3, 4]), 50) == 2
    assert quantile(Counter(range(1, 11)), 90) == 9
    assert quantile(Counter([7]), 90) == 7


def test_a_tally_is_kept_and_gone_on_with(world: Watched, tmp_path: Any) -> None:
    world.does(PATIENT, "consent", "grant", id="c", subject=PATIENT, scope={"purposes": ["TREAT"]})
    world.requests("wang", world.anchored())
    refer(world, "r1")
    kept = Kept("ab", 1, world.height, "cd", world.time, world.tally)
    save(kept, tmp_path / "kept.json")
    assert load(tmp_path / "kept.json") == kept


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "chain": "x"}'])
def test_a_file_that_is_something_else_is_refused(tmp_path: Any, text: str) -> None:
    path = tmp_path / "kept.json"
    path.write_text(text)
    with pytest.raises(NotKept):
        load(path)
