"""Remote consultation: who is in the room sees the dossier, and nobody else."""

from typing import Any

import pytest

from tests.support.contracts import DAY, HOUR, NEIGHBOUR, PATIENT, World, name_of
from tests.support.contracts.amending import amended, not_amended

FORM = bytes(range(32))
OPINION = bytes(reversed(range(32)))
MINUTE = 60_000
NAME = "ab" * 32


@pytest.fixture
def world() -> World:
    return World()


def arguments(world: World, *records: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "case-1", "subject": PATIENT, "institution": "township", "kind": "consultation",
        "records": [name_of(record).hex() for record in records],
        "experts": [{"person": "he", "institution": "city"}], "until": world.time + 7 * DAY,
        "form": FORM, **changes,
    }  # fmt: skip


def convened(world: World, **changes: Any) -> dict[str, Any]:
    """A consultation on a record of the township, to which the city's physician is invited."""
    record = world.anchored(holder="township", kind="imaging", confidentiality="R")
    world.does("wang", "consultation", "convene", **arguments(world, record, **changes))
    return record


def asks(world: World, who: str, record: dict[str, Any], **changes: str) -> str:
    outcome: str = world.requests(who, record, case="case-1", **changes)["outcome"]  # type: ignore[arg-type]
    return outcome


def test_the_expert_sees_the_dossier_from_joining_until_leaving(world: World) -> None:
    record = convened(world)
    assert asks(world, "he", record) == "deny"
    world.does("he", "consultation", "join", id="case-1")
    decision = world.requests("he", record, case="case-1")
    assert decision["rule"] == "consultation:seat-in-consultation"
    assert decision["expires"] == world.time + 4 * HOUR
    assert "NORDSCLCD" in decision["obligations"]
    world.later(30 * MINUTE).does("he", "consultation", "leave", id="case-1")
    assert asks(world, "he", record) == "deny"


def test_a_session_ends_by_itself_and_counts_no_more_than_its_hours(world: World) -> None:
    record = convened(world)
    world.does("he", "consultation", "join", id="case-1")
    world.later(4 * HOUR)
    assert asks(world, "he", record) == "deny"
    world.later(10 * HOUR)
    assert world.does("he", "consultation", "leave", id="case-1") == 240


def test_a_link_opens_nothing_for_another_person(world: World) -> None:
    record = convened(world)
    world.does("he", "consultation", "join", id="case-1")
    assert world.refuses("su", "consultation", "join", id="case-1") == "not_invited"
    assert asks(world, "su", record) == "deny"
    assert asks(world, "gao", record) == "deny"


def test_an_expert_of_two_hospitals_acts_for_the_one_that_was_named(world: World) -> None:
    record = convened(world)
    world.does(
        "county-clerk", "registry", "affiliate", id="he", institution="county",
        roles=["physician"],
    )  # fmt: skip
    world.does("he", "consultation", "join", id="case-1")
    assert asks(world, "he", record, institution="county") == "deny"
    assert asks(world, "he", record, institution="city") == "permit"
    world.later(10 * MINUTE).does("he", "consultation", "leave", id="case-1")
    assert world.asks("consultation", "served", person="he", institution="county")["minutes"] == 0
    assert world.asks("consultation", "served", person="he", institution="city")["minutes"] == 10


def test_it_is_for_this_case_this_patient_and_these_records_only(world: World) -> None:
    record = convened(world)
    other = world.anchored(holder="township", size=3)
    secret = world.anchored(holder="township", confidentiality="V")
    strange = world.anchored(holder="township", subject=NEIGHBOUR)
    names = [name_of(secret).hex(), name_of(strange).hex()]
    world.does("wang", "consultation", "contribute", id="case-1", institution="township",
               records=names)  # fmt: skip
    world.does("he", "consultation", "join", id="case-1")
    assert world.requests("he", record)["outcome"] == "deny"
    assert world.requests("he", record, case="case-2")["outcome"] == "deny"
    assert asks(world, "he", record, purpose="ETREAT") == "deny"
    assert [asks(world, "he", found) for found in (other, secret, strange)] == ["deny"] * 3


def test_nobody_opens_the_records_of_another_holder(world: World) -> None:
    record = world.anchored(holder="county")
    world.does("wang", "consultation", "convene", **arguments(world, record))
    world.does("he", "consultation", "join", id="case-1")
    assert asks(world, "he", record) == "deny"


def test_an_expert_adds_records_of_the_own_institution_and_the_convener_sees_them(
    world: World,
) -> None:
    convened(world)
    record = world.anchored(holder="city", kind="pathology")
    add = {"id": "case-1", "records": [name_of(record).hex()]}
    assert asks(world, "wang", record) == "deny"
    refused = world.refuses("gao", "consultation", "contribute", institution="county", **add)
    assert refused == "not_invited"
    world.does("he", "consultation", "contribute", institution="city", **add)
    assert asks(world, "wang", record) == "permit"


def test_minutes_are_counted_for_each_expert_and_institution(world: World) -> None:
    experts = [{"person": "he", "institution": "city"}, {"person": "gao", "institution": "county"}]
    convened(world, kind="mdt", experts=experts)
    world.does("he", "consultation", "join", id="case-1")
    world.later(5 * MINUTE).does("gao", "consultation", "join", id="case-1")
    world.later(20 * MINUTE)
    result = world.call("he", "consultation", "leave", id="case-1")
    (left,) = [dict(event.fields) for event in result.events if event.name == "left"]
    assert (left["expert"], left["institution"], left["minutes"]) == ("he", "city", 25)
    assert left["left"] - left["joined"] == 25 * MINUTE
    world.does("wang", "consultation", "close", id="case-1")
    assert world.asks("consultation", "served", person="gao", institution="county") == {
        "sessions": 1, "minutes": 20, "opinions": 0,
    }  # fmt: skip


def test_nobody_is_in_two_rooms_at_once(world: World) -> None:
    convened(world)
    world.does("wang", "consultation", "convene", **arguments(world, id="case-2"))
    world.does("he", "consultation", "join", id="case-1")
    for case in ("case-1", "case-2"):
        assert world.refuses("he", "consultation", "join", id=case) == "in_a_session"
    # A session that has run out is settled by the next.
    world.later(5 * HOUR).does("he", "consultation", "join", id="case-2")
    assert world.asks("consultation", "attended", id="case-1", person="he")["minutes"] == 240


def test_an_opinion_is_a_hash_given_once_by_who_was_there(world: World) -> None:
    convened(world)
    opine = {"id": "case-1", "opinion": OPINION}
    assert world.refuses("he", "consultation", "opine", **opine) == "not_in_session"
    world.does("he", "consultation", "join", id="case-1")
    assert world.refuses("he", "consultation", "opine", id="case-1", opinion=b"") == "bad_hash"
    world.does("he", "consultation", "opine", **opine)
    assert world.refuses("he", "consultation", "opine", **opine) == "already_given"
    world.does("he", "consultation", "leave", id="case-1")
    attended = world.asks("consultation", "attended", id="case-1", person="he")
    assert (attended["opinion"], attended["sessions"]) == (OPINION, 1)


def test_the_patient_ends_it_at_once(world: World) -> None:
    record = convened(world)
    world.does("he", "consultation", "join", id="case-1")
    assert world.refuses(NEIGHBOUR, "consultation", "close", id="case-1") == "not_the_person"
    world.does(PATIENT, "consultation", "close", id="case-1")
    assert asks(world, "he", record) == "deny"
    assert world.refuses("he", "consultation", "join", id="case-1") == "not_open"


def test_a_patients_denial_prevails(world: World) -> None:
    record = convened(world)
    world.does("he", "consultation", "join", id="case-1")
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope={"persons": ["he"]})
    assert asks(world, "he", record) == "deny"


def test_an_invitation_is_taken_back_and_another_expert_comes(world: World) -> None:
    record = convened(world)
    world.does("he", "consultation", "join", id="case-1")
    world.later(MINUTE).does("wang", "consultation", "dismiss", id="case-1", person="he")
    assert asks(world, "he", record) == "deny"
    assert world.asks("consultation", "served", person="he", institution="city")["minutes"] == 1
    world.does("wang", "consultation", "invite", id="case-1", person="su", institution="city")
    world.does("su", "consultation", "join", id="case-1")
    assert asks(world, "su", record) == "permit"


def test_it_is_over_at_its_end(world: World) -> None:
    record = convened(world, until=world.time + HOUR)
    world.does("he", "consultation", "join", id="case-1")
    world.later(HOUR)
    assert asks(world, "he", record) == "deny"
    assert world.does("he", "consultation", "leave", id="case-1") == 60
    assert world.refuses("he", "consultation", "join", id="case-1") == "not_open"


@pytest.mark.parametrize(
    ("signer", "change", "code"),
    [
        ("xiao", {}, "role_missing"),
        ("gao", {}, "not_affiliated"),
        ("wang", {"id": "a/b"}, "bad_id"),
        ("wang", {"kind": "chat"}, "unknown_kind"),
        ("wang", {"form": b""}, "agreement_missing"),
        ("wang", {"kind": "mdt"}, "experts_missing"),
        ("wang", {"experts": []}, "experts_missing"),
        ("wang", {"experts": [{"person": "nurse", "institution": "city"}]}, "not_an_expert"),
        ("wang", {"experts": [{"person": "he", "institution": "county"}]}, "not_an_expert"),
        ("wang", {"experts": [{"person": "he", "institution": "city"}] * 2}, "already_invited"),
        ("wang", {"until": 5}, "bad_time"),
        ("wang", {"until": 1 << 60}, "bad_time"),
        ("wang", {"records": ["x"]}, "bad_record_name"),
        ("wang", {"records": [NAME] * 65}, "too_many_records"),
    ],
)
def test_a_consultation_that_breaks_a_rule_is_refused(
    world: World, signer: str, change: dict[str, Any], code: str
) -> None:
    told = arguments(world, **change)
    assert world.refuses(signer, "consultation", "convene", **told) == code


def test_at_most_sixteen_experts_have_a_seat(world: World) -> None:
    convened(world)
    for number in range(15):
        world.does("clerk", "registry", "enrol", id=f"dr-{number}", institution="city",
                   roles=["physician"], keys=["01" + f"{number:064x}"])  # fmt: skip
        world.does("wang", "consultation", "invite", id="case-1", person=f"dr-{number}",
                   institution="city")  # fmt: skip
    seat = {"id": "case-1", "person": "su", "institution": "city"}
    assert world.refuses("wang", "consultation", "invite", **seat) == "too_many_experts"
    assert world.refuses("fan", "consultation", "invite", **seat) == "not_the_convener"


def test_parameters_differ_by_county_and_have_bounds(world: World) -> None:
    amended(world, "consultation", "Yan'an", session_hours=1, longest_days=2)
    told = arguments(world)
    assert world.refuses("wang", "consultation", "convene", **told) == "bad_time"
    convened(world, until=world.time + 2 * DAY)
    assert world.does("he", "consultation", "join", id="case-1") == world.time + HOUR
    assert not_amended(world, "consultation", session_hours=25) == "out_of_bounds"
    assert world.refuses("chief", "consultation", "amend", county="", values={}) == "charter_only"
