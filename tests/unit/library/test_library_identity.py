"""Two pseudonyms of one person: denials hold under both, permits under the surviving one."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from tests.support.contracts import MOTHER, NEIGHBOUR, NOTE, PATIENT, World

FORM = sha256(b"a signed form").digest()
#: The same person, entered a second time by the county hospital.
TWIN = NEIGHBOUR


@pytest.fixture
def world() -> World:
    return World()


def merge(world: World, **changes: Any) -> None:
    world.does("clerk,nurse", "identity", "merge", **merging(**changes))


def merging(**changes: Any) -> dict[str, Any]:
    return {
        "survivor": PATIENT, "duplicate": TWIN, "institution": "city", "form": FORM, **changes
    }  # fmt: skip


def consents(world: World, subject: str, effect: str) -> None:
    scope = {"purposes": ["TREAT"], "institutions": ["county"]}
    identity = f"c{world.height}"
    world.does(subject, "consent", effect, id=identity, subject=subject, scope=scope)


def outcome(world: World, subject: str, who: str = "gao", **more: Any) -> str:
    record = world.anchored(subject=subject, size=world.height + 1)
    return str(world.requests(who, record, **more)["outcome"])


def test_what_the_survivor_permits_holds_for_the_records_of_both(world: World) -> None:
    consents(world, PATIENT, "grant")
    assert (outcome(world, PATIENT), outcome(world, TWIN)) == ("permit", "deny")
    merge(world)
    assert (outcome(world, PATIENT), outcome(world, TWIN)) == ("permit", "permit")


def test_what_the_duplicate_permits_counts_no_more(world: World) -> None:
    consents(world, TWIN, "grant")
    assert outcome(world, TWIN) == "permit"
    merge(world)
    assert (outcome(world, PATIENT), outcome(world, TWIN)) == ("deny", "deny")


@pytest.mark.parametrize("denied", [PATIENT, TWIN])
def test_a_denial_under_either_name_holds_for_both(world: World, denied: str) -> None:
    other = TWIN if denied == PATIENT else PATIENT
    consents(world, other, "grant")
    consents(world, denied, "deny")
    merge(world)
    assert (outcome(world, PATIENT), outcome(world, TWIN)) == ("deny", "deny")


def test_the_patient_reads_both_with_the_key_of_the_surviving_name_alone(world: World) -> None:
    merge(world)
    for subject in (PATIENT, TWIN):
        assert outcome(world, subject, PATIENT, purpose="PATRQT") == "permit"
        assert outcome(world, subject, TWIN, purpose="PATRQT") == "deny"


def test_an_emergency_is_not_stopped_by_the_denials_of_a_duplicate(world: World) -> None:
    consents(world, TWIN, "deny")
    merge(world)
    record = world.anchored(subject=PATIENT)
    assert world.breaks_glass("gao", record, note=NOTE)["outcome"] == "permit"


def test_parting_gives_back_what_was_before(world: World) -> None:
    consents(world, PATIENT, "grant")
    consents(world, TWIN, "deny")
    merge(world)
    assert outcome(world, PATIENT) == "deny"
    world.does(
        "county-clerk,gao", "identity", "unmerge", duplicate=TWIN, institution="county", form=FORM
    )
    assert (outcome(world, PATIENT), outcome(world, TWIN)) == ("permit", "deny")
    assert world.asks("identity", "person", id=TWIN) == {"survivor": TWIN, "duplicates": []}
    ended = world.entry(f"identity/history/{TWIN}/1")["ended"]
    assert (ended["institution"], ended["by"]) == ("county", ["county-clerk", "gao"])


def test_of_three_names_two_can_be_parted(world: World) -> None:
    merge(world)
    merge(world, duplicate=MOTHER)
    assert world.asks("identity", "person", id=MOTHER) == {
        "survivor": PATIENT, "duplicates": [TWIN, MOTHER]
    }  # fmt: skip
    world.does("clerk,nurse", "identity", "unmerge", duplicate=TWIN, institution="city", form=FORM)
    assert world.asks("identity", "person", id=PATIENT)["duplicates"] == [MOTHER]
    consents(world, MOTHER, "deny")
    consents(world, PATIENT, "grant")
    assert (outcome(world, PATIENT), outcome(world, MOTHER)) == ("deny", "deny")
    assert world.entry(f"access/related/{TWIN}") is None


@pytest.mark.parametrize(
    ("signers", "changes", "code"),
    [
        ("clerk", {}, "witness_missing"),
        ("he,nurse", {}, "role_missing"),
        ("clerk,nurse", {"form": b""}, "form_missing"),
        ("clerk,nurse", {"duplicate": PATIENT}, "same_pseudonym"),
        ("clerk,nurse", {"duplicate": "p-" + "9" * 32}, "unknown_person"),
        ("clerk,nurse", {"duplicate": "he"}, "not_a_patient"),
        ("township-clerk,wang", {"institution": "township"}, "not_yours"),
        (PATIENT, {}, "role_missing"),
    ],
)
def test_who_may_not_merge_or_what(
    world: World, signers: str, changes: dict[str, Any], code: str
) -> None:
    assert world.refuses(signers, "identity", "merge", **merging(**changes)) == code


def test_duplicates_make_no_chains(world: World) -> None:
    merge(world)
    refused = [
        world.refuses("clerk,nurse", "identity", "merge", **merging(**changes))
        for changes in (
            {},
            {"survivor": MOTHER, "duplicate": PATIENT},
            {"survivor": TWIN, "duplicate": MOTHER},
        )
    ]
    assert refused == ["already_merged", "has_duplicates", "is_a_duplicate"]


def test_nobody_but_identity_says_who_is_one_person(world: World) -> None:
    arguments = {"survivor": PATIENT, "duplicates": [TWIN], "parted": []}
    assert world.refuses("clerk,nurse", "access", "relate", **arguments) == "identity_only"


def test_a_decision_about_a_patient_of_one_name_costs_one_look_more(world: World) -> None:
    """The hot path: an ordinary request pays for the look and for nothing else."""
    consents(world, PATIENT, "grant")
    record = world.anchored()
    arguments = {
        "pointer": record, "proof": {}, "purpose": "TREAT", "institution": "county",
        "reply_key": bytes(range(32)),
    }  # fmt: skip
    plain = world.call("gao", "access", "request", **arguments).gas
    merge(world)
    merged = world.call("gao", "access", "request", **arguments).gas
    assert plain < 25_000
    assert merged > plain + 1_000  # what is asked about the duplicate
