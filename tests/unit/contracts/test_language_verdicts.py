"""The answers of a rule: what they say, where they say it, and what they cost."""

from __future__ import annotations

import pytest

from ledger.chain.result import CallResult
from tests.support.language import VERDICTS, Bench, record

EFFECTS = {
    "permits": "permit",
    "obliges": "oblige",
    "limits": "limit",
    "denies": "deny",
    "forbids": "forbid",
    "silent": "none",
}


SOURCE = f"""
from ledger.contracts.prelude import export, {VERDICTS}

@export
def ask() -> dict:
    return EXPRESSION
"""


def answer(expression: str) -> CallResult:
    bench = Bench()
    record(bench.state, "rule", SOURCE.strip().replace("EXPRESSION", expression))
    return bench.call("ask", "rule")


@pytest.mark.parametrize(("verb", "effect"), EFFECTS.items())
def test_a_verdict_names_rule_contract_version_and_line(verb: str, effect: str) -> None:
    assert answer(f"{verb}('the-rule', visit=7)").value == {
        "contract": "rule",
        "duties": [],
        "effect": effect,
        "facts": {"visit": 7},
        "line": 5,
        "rule": "the-rule",
        "until": 0,
        "version": 1,
    }


def test_duties_and_the_end_stand_apart_from_the_facts() -> None:
    found = answer("permits('r', until=9, duties=['DELAU'], case='c')").value
    assert (found["until"], found["duties"], found["facts"]) == (9, ["DELAU"], {"case": "c"})


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("permits('two words')", "value_error"),
        ("permits('')", "value_error"),
        ("permits(7)", "value_error"),
        ("permits('r', until='soon')", "type_error"),
        ("permits('r', duties='DELAU')", "type_error"),
    ],
)
def test_a_malformed_verdict_fails(expression: str, code: str) -> None:
    result = answer(expression)
    assert not result.ok
    assert result.error.startswith(f"{code}: ")
