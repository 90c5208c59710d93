"""Noting which lines ran changes nothing else."""

import pytest

from ledger.contracts.compiler import compile_contract
from ledger.contracts.linenotes import LineNotes, Lines
from ledger.contracts.machine import Machine
from ledger.workbench.chain import CallFailed, Chain
from ledger.workbench.coverage import least, ranges, report

SOURCE = '''"""Counts down."""
from ledger.contracts.prelude import query, silent, require

@query
def decide(request: dict) -> dict:
    count = 0
    for word in ["a", "b"]:
        if request["kind"] == word:
            return silent(
                "found",
            )
        elif request["kind"] == "other":
            count += 1
        else:
            require(request["kind"] != "odd", "odd")
    return silent("none")
'''


def noted(*kinds: str) -> Lines:
    notes = LineNotes()
    chain = Chain({"c": SOURCE}, machine=Machine(notes=notes))
    for kind in kinds:
        chain.decides("c", kind=kind)
    return notes.of(SOURCE)


def test_every_statement_is_a_line_and_none_ran_before_a_call() -> None:
    lines = noted()
    assert sorted(lines.statements) == [6, 7, 8, 9, 13, 15, 16]
    assert lines.missed == [6, 7, 8, 9, 13, 15, 16]
    assert lines.share == 0


def test_the_lines_that_ran_are_noted_over_all_calls() -> None:
    assert noted("b").missed == [13, 16]
    assert noted("b", "other").missed == []
    assert noted("b", "other").share == 1


def test_a_line_that_fails_ran() -> None:
    notes = LineNotes()
    chain = Chain({"c": SOURCE}, machine=Machine(notes=notes))
    with pytest.raises(CallFailed, match=r"odd:  \(c:15\)"):
        chain.decides("c", kind="odd")
    assert 15 in notes.of(SOURCE).ran


def test_results_gas_and_state_are_those_of_a_machine_that_notes_nothing() -> None:
    chains = Chain({"c": SOURCE}), Chain({"c": SOURCE}, machine=Machine(notes=LineNotes()))
    for chain in chains:
        record = chain.record()
        patient, physician = chain.patient(), chain.person("physician", "county")
        patient.permits("c1", purposes=["TREAT"], institutions=["county"])
        physician.asks_for(record)
        patient.denies("c2", persons=["gao"])
    plain, noting = chains
    assert plain.state == noting.state
    for chain in chains:
        physician = chain.person("physician", "county")
        physician.asks_for(chain.record())
    assert plain.last == noting.last


def test_a_program_without_notes_has_none_of_their_code() -> None:
    lines = Lines()
    compile_contract(SOURCE)
    assert lines.statements == set()
    compile_contract(SOURCE, lines)
    assert lines.statements


def test_the_report_names_what_was_missed() -> None:
    covered = {"care": Lines({1, 2, 3, 5}, {5}), "night": Lines({1}, {1})}
    assert report(covered) == [
        "contract  lines  missed  run",
        "care          4       3   25%  1-3",
        "night         1       0  100%",
    ]
    assert least(covered) == 25
    assert least({}) == 100
    assert ranges([1, 3, 4, 5, 9]) == "1, 3-5, 9"
