"""The twelve official consents, request by request: published, pinned, and checked a second way."""

import json
from typing import Any

import pytest

from ledger.fhir.consent import Computable, Refused, import_consent
from tests.support import consent_matrix as official
from tests.support.consent_reference import decide
from tests.support.contracts import World

PUBLISHED: dict[str, Any] = json.loads(official.MATRIX.read_text("utf-8"))
COMPUTABLE = ("Emergency", "Out", "notOrg", "smartonfhir")


def outcome_of(name: str, form: str) -> Computable:
    found = (
        import_consent(official.sent(name), official.SENT)
        if form == "sent"
        else import_consent(official.asked_back(name), official.ASKED_BACK)
    )
    assert isinstance(found, Computable), found
    return found


def test_the_matrix_is_as_large_as_it_says() -> None:
    assert len(official.cells()) == 648
    assert len(official.NAMES) == 12
    for forms in PUBLISHED["tables"].values():
        for content in forms.values():
            letters = "".join(content.get("cells", {}).values()).replace(" ", "")
            assert len(letters) in (0, 648)


@pytest.mark.parametrize("name", official.NAMES)
def test_every_request_gets_its_published_decision(name: str) -> None:
    assert (
        official.table(import_consent(official.sent(name), official.SENT))
        == (PUBLISHED["tables"][name]["sent"])
    )
    if name in official.clarified():
        found = import_consent(official.asked_back(name), official.ASKED_BACK)
        assert official.table(found) == PUBLISHED["tables"][name]["clarified"]


def test_what_is_ambiguous_is_refused_as_sent_and_computable_once_it_was_asked_about() -> None:
    for name, forms in PUBLISHED["tables"].items():
        if name in COMPUTABLE:
            assert set(forms) == {"sent"}
            assert "cells" in forms["sent"]
        else:
            assert "refused" in forms["sent"]
            assert "cells" in forms["clarified"]
            assert isinstance(import_consent(official.sent(name), official.ASKED_BACK), Refused)


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, "sent") for name in COMPUTABLE if name != "Emergency"]
    + [(name, "clarified") for name in official.NAMES if name not in COMPUTABLE],
)
def test_the_reference_that_reads_the_resource_itself_agrees_in_every_cell(
    name: str, form: str
) -> None:
    resource = official.sent(name) if form == "sent" else official.asked_back(name)
    for cell, effect in official.decisions(outcome_of(name, form)).items():
        assert effect == decide(resource, official.reference_request(cell)), cell


def test_the_emergency_survives_the_denial_of_everything_else() -> None:
    found = official.decisions(outcome_of("Emergency", "sent"))
    for (_, purpose, record, _), effect in found.items():
        held = official.RECORDS[record]
        if held.holder != "Organization/f001" or purpose == "BTG":
            assert effect == "none"
        elif purpose == "ETREAT":
            assert effect == ("permit" if held.level == "N" else "none")
        else:
            assert effect == "deny"


def test_a_relatives_consent_counts_only_if_the_chain_knows_her_as_a_delegate() -> None:
    outcome = outcome_of("smartonfhir", "sent")
    rules = [dict(rule) for rule in outcome.rules]
    declaration = {"id": "c", "subject": outcome.subject, "source": bytes(32), "rules": rules}
    world = World()
    assert world.refuses(outcome.speaker, "consent", "adopt", **declaration) == "not_the_person"
    official.adopted(outcome)


def test_no_table_permits_what_the_narrative_withholds() -> None:
    golden = json.loads((official.MATRIX.parent / "hl7_consents_golden.json").read_text("utf-8"))
    withheld = 0
    for name, forms in PUBLISHED["tables"].items():
        if golden["consents"][f"consent-example-{name}"]["narrative"] == "deny":
            for content in forms.values():
                withheld += 1
                assert "P" not in "".join(content.get("cells", {}).values()), name
    assert withheld == 10


def test_the_page_shows_the_same_tables() -> None:
    page = official.PAGE.read_text("utf-8")
    assert official.page_with(page, PUBLISHED) == page
    assert official.page_section(PUBLISHED) in page
