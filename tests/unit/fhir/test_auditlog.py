"""A node's own log as AuditEvents."""

from __future__ import annotations

import base64

import pytest

from ledger.fhir import auditlog, r5records
from ledger.fhir.auditevents import Occurrence
from tests.support.fhir_models import R5, validate

HERE = Occurrence("l.7", 1_764_000_000_123, "ab" * 32)


def made(event: str, **more: str) -> dict[str, object]:
    entry = {"n": 7, "event": event, "time": HERE.time, "prev": "00" * 32, **more}
    found = auditlog.logged(HERE, entry, "east-1")
    validate(found)
    validate(r5records.audit_event(found), R5)
    assert found["source"]["observer"]["identifier"]["value"] == "east-1"
    return found


@pytest.mark.parametrize(
    ("event", "kind", "subtype", "outcome"),
    [
        ("signed-in", "110114", "110122", "0"),
        ("signed-out", "110114", "110123", "0"),
        ("refused", "110114", "110122", "4"),
        ("kept-out", "110113", "110132", "8"),
        ("something-new", "110100", "something-new", "0"),
    ],
)
def test_every_kind_of_entry_has_its_code(event, kind, subtype, outcome):
    found = made(event, who="xue", kind="staff", institution="east", why="expired")
    assert found["type"]["code"] == kind
    assert found["subtype"][0]["code"] == subtype
    assert found["outcome"] == outcome
    assert found["agent"][0]["who"]["identifier"]["value"] == "xue"
    assert found["agent"][1]["who"]["identifier"]["value"] == "east"


def test_a_sign_in_says_by_which_method_and_from_where_and_never_a_secret():
    found = made("signed-in", who="p-" + "a" * 32, method="passkey", session="s-1",
                 address="2001:db8::1")  # fmt: skip
    assert found["agent"][0]["who"]["type"] == "Patient"
    assert found["agent"][0]["network"] == {"address": "2001:db8::1", "type": "2"}
    assert found["entity"][0]["what"]["identifier"]["value"] == "s-1"
    assert found["entity"][0]["detail"] == [{"type": "method", "valueString": "passkey"}]


def test_reading_an_audit_log_is_recorded_with_what_was_asked():
    found = made("audit-read", who="xue", path="/fhir/AuditEvent", what="patient=p-1")
    assert found["type"]["code"] == "110101"
    assert found["action"] == "R"
    assert base64.b64decode(found["entity"][1]["query"]).decode() == "patient=p-1"


@pytest.mark.parametrize("kind", ["system", "operator", "patient", ""])
def test_an_entry_that_says_little_is_still_an_event(kind):
    made("refused", kind=kind, address="unix")
