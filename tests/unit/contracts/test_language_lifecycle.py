"""Versions, pauses and the functions by which the charter and others see them."""

import ast
from typing import Any

import pytest

from ledger.chain.transaction import Call
from ledger.contracts.checker import check
from ledger.contracts.examination import BASE_GAS, WORD_GAS, examine, price
from ledger.contracts.sources import LIBRARY, library_source
from tests.support.attacks import REFUSED
from tests.support.language import IMPORT, Bench, entry, record

LIFECYCLE = "from ledger.contracts.prelude import begin, examine, offers, paused\n"
FIRST = IMPORT + "@query\ndef read() -> int:\n    return 1\n"
SECOND = FIRST.replace("return 1", "return 2")
LOOKING = (
    IMPORT
    + LIFECYCLE
    + """
@query
def state(contract: str) -> list:
    return [paused(contract), offers(contract, "read")]

@query
def ask(contract: str) -> int:
    return call(contract, "read")

@query
def look(source: str) -> dict:
    return examine(source)

@export
def found(contract: str, arguments: dict) -> None:
    begin(contract, arguments)
"""
)
WITH_INIT = (
    IMPORT
    + 'v = Value("v")\n@init\ndef found(start: int) -> None:\n    v.set(start)\n'
    + "@query\ndef read() -> int:\n    return v.get()\n"
)


def bench(*sources: str, schedule: list[Any] | None = None) -> Bench:
    """A contract ``c`` with a schedule, and one that looks at it."""
    found = Bench()
    record(found.state, "looking", LOOKING)
    record(found.state, "charter", LOOKING)
    record(found.state, "c", *sources, schedule=schedule)
    return found


def test_the_last_entry_that_has_begun_holds() -> None:
    schedule = [entry(FIRST), entry(SECOND, 2, since=10), entry(FIRST, since=20)]
    world = bench(FIRST, SECOND, schedule=schedule)
    seen = []
    for height in (1, 9, 10, 19, 20, 1_000):
        world.height = height
        seen.append(world.query("read").value)
    assert seen == [1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("paused", "due", "told"),
    [("deny", 0, "deny"), ("skip", 0, "skip"), ("", 7, "deny"), ("skip", 7, "deny")],
)
def test_a_paused_contract_answers_the_charter_alone(paused: str, due: int, told: str) -> None:
    world = bench(FIRST, schedule=[entry(FIRST, paused=paused, due=due)])
    error = "paused: c answers nobody until it is resumed"
    assert world.query("read").error == error
    asked = world.machine.query(world.state.get, world.context, "looking", "ask", {"contract": "c"})
    assert asked.error.startswith(error)
    of_charter = world.machine.query(
        world.state.get, world.context, "charter", "ask", {"contract": "c"}
    )
    assert of_charter.value == 1
    state = world.machine.query(
        world.state.get, world.context, "looking", "state", {"contract": "c"}
    )
    assert state.value == [told, "query"]


def test_what_is_not_there_is_not_paused_and_offers_nothing() -> None:
    world = bench(FIRST)
    state = world.machine.query(
        world.state.get, world.context, "looking", "state", {"contract": "nothing"}
    )
    assert state.value == ["", ""]


def test_only_the_charter_founds_contracts() -> None:
    world = bench(WITH_INIT)
    arguments = {"contract": "c", "arguments": {"start": 3}}
    for contract, code in (("looking", "unknown_contract"), ("charter", "")):
        error = world.machine.execute(
            world.state.get, world.context,
            [world.transaction(*[_call(contract, "found", arguments)])], 1_000_000,
        ).results[0].calls[0].error  # fmt: skip
        assert error.partition(":")[0] == code


@pytest.mark.parametrize(
    ("source", "arguments", "error"),
    [
        (FIRST, {}, ""),
        (FIRST, {"x": 1}, "bad_arguments: c has no init to take arguments"),
        (WITH_INIT, {}, "bad_arguments: found needs start"),
        (WITH_INIT, {"start": "3"}, "bad_arguments: start of found is not a int"),
    ],
)
def test_arguments_fit_the_init(source: str, arguments: dict[str, Any], error: str) -> None:
    world = bench(source)
    call = _call("charter", "found", {"contract": "c", "arguments": arguments})
    result = world.submit(call).calls[0]
    assert result.error.startswith(error)
    assert result.ok is (error == "")


def _call(contract: str, method: str, arguments: dict[str, Any]) -> Any:
    return Call(contract, method, arguments)


# --- Examining a source ------------------------------------------------------------------------


def test_an_examination_says_what_a_contract_offers() -> None:
    source = WITH_INIT.replace("query,", "query, permits, denies,", 1)
    assert examine(source) == {
        "problems": [], "bytes": len(source.encode()), "init": "found",
        "methods": {"read": "query"}, "verdicts": ["permits", "denies"],
    }  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_examination_refuses_what_the_checker_refuses(name: str) -> None:
    source = f"{IMPORT}\n@export\ndef go(a: int) -> object:\n    {REFUSED[name]}\n"
    found = examine(source)["problems"]
    assert found
    for problem in found:
        lines = [known.line for known in check(source) if known.code == problem["code"]]
        assert problem["line"] in ([0] if problem["code"] == "E003" else lines)


def test_where_python_gives_up_is_not_told() -> None:
    assert examine("x = (\n\n\n1 1)\n")["problems"] == [{"code": "E003", "line": 0}]


def test_what_an_examination_costs_is_counted_in_words() -> None:
    assert price("") == BASE_GAS
    assert price("ab_1 = 'é'\n") == BASE_GAS + 11 + 5 * WORD_GAS
    gas = {}
    for text in ("", "x = 1\n" * 100):
        world = bench(FIRST)
        answer = world.machine.query(
            world.state.get, world.context, "looking", "look", {"source": text}
        )
        gas[text] = answer.gas
    more = price("x = 1\n" * 100) - price("")
    assert more <= gas["x = 1\n" * 100] - gas[""] <= more + 2_000


@pytest.mark.parametrize("name", LIBRARY)
def test_every_contract_of_the_library_can_be_proposed_within_the_gas_of_a_call(name: str) -> None:
    source = library_source(name)
    assert examine(source)["problems"] == []
    # Its arguments, storing it, and some 60,000 for the ballot.
    assert price(source) + 3 * len(source.encode()) + 60_000 < 2_000_000
    assert ast.parse(source)
