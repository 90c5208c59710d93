"""Tricks that escape from, exhaust, or split other sandboxes; each must end here without effect.

The first table is refused by the checker. The second runs: every program must end by itself or by
its gas, within the time that its gas stands for, and without more memory than its gas stands for.
"""

from __future__ import annotations

import time
import tracemalloc

import pytest

from ledger.contracts.checker import check
from ledger.contracts.meter import Failure
from tests.support.attacks import FORMED_RUNNING, MODULES, MORE_FORMS, REFUSED, RUNNING
from tests.support.corpus import FORMS
from tests.support.language import COMPUTE, IMPORT, Bench, module, run

TOP = COMPUTE + FORMS + MORE_FORMS
#: What is no attack in the end.
ENDS_WELL = {"codes changed"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_trick_is_refused_by_the_checker(name: str) -> None:
    source = f"{IMPORT}\n@export\ndef go(a: int) -> object:\n    {REFUSED[name]}\n"
    assert check(source)


def test_there_are_hundreds_of_tricks_and_no_two_are_the_same() -> None:
    tables = (REFUSED, MODULES, RUNNING, FORMED_RUNNING)
    tricks = [trick for table in tables for trick in table.values()]
    assert len(set(tricks)) == len(tricks) >= 500


@pytest.mark.parametrize("name", MODULES)
def test_a_trick_at_the_top_level_is_refused_by_the_checker(name: str) -> None:
    assert check(module("")) == []
    assert check(module(MODULES[name]))


@pytest.mark.parametrize("name", FORMED_RUNNING)
def test_a_program_of_records_and_decimals_ends_within_what_its_gas_stands_for(name: str) -> None:
    started = time.process_time()
    result = run(FORMED_RUNNING[name], top=TOP)
    elapsed = time.process_time() - started
    code = result.error.partition(":")[0]
    assert code in (
        "", "out_of_gas", "too_large", "too_deep", "overflow", "value_error", "type_error",
    )  # fmt: skip
    assert elapsed < 2.5, f"{elapsed:.2f} s"
    if result.ok:
        assert name in ENDS_WELL


@pytest.mark.parametrize("name", RUNNING)
def test_a_program_ends_within_what_its_gas_stands_for(name: str) -> None:
    started = time.process_time()
    result = run(RUNNING[name])
    elapsed = time.process_time() - started
    code = result.error.partition(":")[0]
    assert code in (
        "", "out_of_gas", "too_large", "too_deep", "overflow", "value_error", "type_error",
    )  # fmt: skip
    # A plain loop takes about 0.15 s for these two million gas; this machine may be busy.
    assert elapsed < 2.5, f"{elapsed:.2f} s"


@pytest.mark.parametrize("name", [name for name in RUNNING if name.startswith("many ")])
def test_memory_is_bounded_by_gas(name: str) -> None:
    _assert_memory_is_bounded(RUNNING[name])


@pytest.mark.parametrize("name", [name for name in FORMED_RUNNING if name.startswith("many ")])
def test_memory_of_records_and_decimals_is_bounded_by_gas(name: str) -> None:
    _assert_memory_is_bounded(FORMED_RUNNING[name], TOP)


def _assert_memory_is_bounded(body: str, top: str = "") -> None:
    tracemalloc.start()
    run(body, gas=500_000, top=top)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024, f"{peak >> 20} MiB"


def test_recursion_ends_at_thirty_two_calls_with_a_stable_code() -> None:
    bench = Bench(c="@export\ndef go(n: int) -> int:\n    return go(n + 1)\n")
    assert bench.call("go", n=0).error == "too_deep: calls inside calls (c:4)"
    mutual = "def a(x):\n    return b(x)\ndef b(x):\n    return a([x])\n"
    assert (
        Bench(c=mutual + "@export\ndef go() -> int:\n    return a(1)\n")
        .call("go")
        .error.startswith("too_deep")
    )


def test_contracts_that_call_each_other_for_ever_are_stopped() -> None:
    source = '@query\ndef go() -> int:\n    return call("{}", "go")\n'
    bench = Bench(c=source.format("d"), d=source.format("c"))
    assert bench.query("go").error.startswith("too_deep")


def test_a_failure_never_carries_text_of_the_host() -> None:
    bodies = [(body, "") for body in RUNNING.values()]
    bodies += [(body, TOP) for body in FORMED_RUNNING.values()]
    for body, top in bodies:
        result = run(body, gas=20_000, top=top)
        for word in ("Traceback", "object at", "<class", "maximum recursion", "Error"):
            assert word not in result.error
    assert Failure("a", "b").place == ""


def test_the_same_attack_costs_the_same_twice() -> None:
    for body in list(RUNNING.values())[:20]:
        assert run(body, gas=50_000) == run(body, gas=50_000)
