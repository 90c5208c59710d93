"""The purposes of use: what covers what, and that the contracts say the same."""

import pytest

from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES
from ledger.fhir import codes
from tests.support.sources import constant


def test_a_wider_purpose_covers_a_narrower_one() -> None:
    assert codes.purpose_lineage("CLINTRCHPC") == ("CLINTRCHPC", "CLINTRCH", "HRESCH")
    assert codes.purpose_lineage("COC") == ("COC", "TREAT")


@pytest.mark.parametrize("purpose", sorted(codes.EMERGENCY))
def test_no_wider_purpose_covers_an_emergency(purpose: str) -> None:
    assert codes.purpose_lineage(purpose) == (purpose,)


def test_an_emergency_is_still_treatment() -> None:
    assert codes.purpose_head("BTG") == "TREAT"


def test_an_unknown_purpose_has_no_lineage() -> None:
    with pytest.raises(KeyError):
        codes.purpose_lineage("CURIOSITY")


def test_the_value_set_is_complete() -> None:
    assert len(codes.PURPOSE_PARENT) == 59


def test_the_consent_contract_has_the_same_purposes() -> None:
    lineages = {code: list(codes.purpose_lineage(code)) for code in codes.PURPOSE_PARENT}
    assert constant("consent", "PURPOSES") == lineages


def test_the_access_contract_has_the_same_branches() -> None:
    heads = {code: codes.purpose_head(code) for code in codes.PURPOSE_PARENT}
    assert constant("access", "BRANCH") == heads
    assert set(constant("access", "SUITED")) == set(codes.PURPOSE_HEADS)
    assert set(constant("access", "DUTIES_BY_BRANCH")) == set(codes.PURPOSE_HEADS)


def test_the_contracts_know_the_classes_and_levels_of_pointers() -> None:
    for contract in ("records", "consent"):
        assert constant(contract, "CLASSES") == list(RECORD_CLASSES)
    assert constant("records", "CONFIDENTIALITY") == list(CONFIDENTIALITY)
    assert list(constant("consent", "RANK")) == list(CONFIDENTIALITY)
