"""What the gas is measured on covers the language, and every case of it runs."""

from __future__ import annotations

import ast

import pytest

from ledger.bench import gas
from ledger.bench.gascases import GROUPS, Case
from ledger.contracts.expressions import EXPRESSIONS
from ledger.contracts.grammar import BUILTINS, HOST, METHODS
from ledger.contracts.statements import _STATEMENTS

CASES = [case for cases in GROUPS.values() for case in cases]
COVERED = {word for case in CASES for word in case.covers.split()}
OPERATORS = {"Add", "Sub", "Mult", "FloorDiv", "Mod"}
COMPARISONS = {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "In", "NotIn", "Is"}


def test_every_node_builtin_method_and_function_has_a_case() -> None:
    nodes = {kind.__name__ for kind in (*EXPRESSIONS, *_STATEMENTS)} | {"Slice"}
    wanted = nodes | OPERATORS | COMPARISONS | set(BUILTINS) | set(METHODS) | set(HOST)
    assert wanted - COVERED == set()
    assert {"Map", "Value", "Record", "Codes"} <= COVERED


def test_the_body_of_a_case_uses_what_it_is_for() -> None:
    for case in CASES:
        lines = case.body.format(n="1").replace("\n        ", "\n")
        tree = ast.parse(case.setup.format(n="1") + "\n" + lines)
        found = {type(node).__name__ for node in ast.walk(tree)}
        found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        named = set(BUILTINS) | set(METHODS) | set(HOST)
        assert set(case.covers.split()) & named <= found, case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.covers}: {case.body[:30]}")
def test_every_case_runs_and_costs_something(case: Case) -> None:
    used, seconds = gas._measure(case, min(case.sizes, default=None), gas=1, repeats=1)
    assert used > 0
    assert seconds >= 0


def test_a_ratio_is_the_time_of_a_gas_to_that_of_a_gas_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [Case("cheap", "x"), Case("dear", "y", sizes=(1, 2))]
    taken = {"x": (10.0, 2.0), "y": (10.0, 80.0)}
    monkeypatch.setattr(gas, "GROUPS", {"all": cases})
    monkeypatch.setattr(gas, "reference", lambda _repeats: 1.0)
    monkeypatch.setattr(gas, "_measure", lambda case, *_: taken[case.body])
    assert [cost.ratio for cost in gas.measure()] == [0.2, 8.0, 8.0]
    assert gas.main([]) == 1
    assert capsys.readouterr().out.endswith("3 measurements, 2 above 5\n")
    taken["y"] = (10.0, 49.0)
    assert gas.main(["--json"]) == 0
