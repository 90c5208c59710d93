from __future__ import annotations

import threading

import pytest

from ledger.chain.codec import Malformed, decode_value, encode
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.limits import MAX_RESULT_BYTES
from ledger.chain.result import decode_result
from ledger.chain.transaction import Call
from ledger.contracts.machine import BlockContext, Execution, GenesisFailed, Machine
from ledger.crypto import hashing
from tests.support.language import CHAIN, IMPORT, Bench, record

COUNTER = """
count = Value("count")
log = Map("log")

@export
def add(n: int) -> int:
    total = count.get(0) + n
    count.set(total)
    require(n > 0, "not_positive", "counts go up")
    log[total] = transaction()
    emit("added", n=n)
    return total

@export
def same() -> None:
    count.set(count.get(0))

@export
def flip() -> None:
    count.set(1)
    count.set(0)

@export
def typed(
    i: int, s: str, b: bool, x: bytes, l: list, d: dict, o: object, n: int | None = None
) -> int:
    return i

@export
def deep_types(l: list[int], d: dict[str, list[str]]) -> int:
    return len(l)

@export
def change(items: list, fields: dict) -> list:
    items.append(fields.pop("a"))
    return items

@export
def big(n: int) -> list:
    return ["x" * 1000] * n

@query
def get() -> int:
    return count.get(0)
"""


def add(n: int) -> Call:
    return Call("c", "add", {"n": n})


def test_calls_of_a_transaction_succeed_and_fail_by_themselves() -> None:
    bench = Bench(c=COUNTER)
    result = bench.submit(add(1), add(-1), add(2))
    assert [(call.ok, call.value) for call in result.calls] == [(True, 1), (False, None), (True, 3)]
    assert result.calls[1].error == "not_positive: counts go up (c:10)"
    assert bench.query("get").value == 3
    assert decode_result(encode(result)) == result


def test_an_atomic_transaction_is_undone_as_a_whole() -> None:
    bench = Bench(c=COUNTER)
    bench.submit(add(5))
    result = bench.submit(add(1), add(-1), add(2), add(3), atomic=True)
    assert [call.error.partition(":")[0] for call in result.calls] == [
        "undone",
        "not_positive",
        "not_run",
        "not_run",
    ]
    assert not any(call.ok or call.events or call.value for call in result.calls)
    assert [call.gas > 0 for call in result.calls] == [True, True, False, False]
    assert bench.query("get").value == 5
    assert bench.submit(add(1), add(2), atomic=True).ok


def test_transactions_of_a_block_see_each_others_writes() -> None:
    bench = Bench(c=COUNTER)
    block = [bench.transaction(add(1)), bench.transaction(add(-9), atomic=True)]
    block += [bench.transaction(add(2))]
    execution = bench.execute(*block)
    assert [result.calls[0].value for result in execution.results] == [1, None, 3]
    assert execution.writes[b"c/count"] == encode(3)
    assert set(execution.writes) == {b"c/count", b"c/log/1", b"c/log/3"}


def test_writes_that_change_nothing_are_not_reported() -> None:
    bench = Bench(c=COUNTER)
    bench.submit(Call("c", "same", {}))
    execution = bench.execute(bench.transaction(Call("c", "same", {})))
    assert execution.results[0].ok
    assert execution.writes == {}
    assert bench.execute(bench.transaction(Call("c", "flip", {}))).writes == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("i", True), ("i", None), ("i", "1"), ("s", b"a"), ("b", 1), ("x", "a"), ("l", {}),
        ("d", []), ("n", "1"), ("i", 2**63), ("o", 1.5), ("o", "x" * 262_145),
        ("o", {"k" * 1025: 1}), ("o", [0] * 20_001), ("extra", 1), ("o", (1, 2)),
        ("o", "\ud800"), ("o", {"\ud800": 1}),
    ],
)  # fmt: skip
def test_arguments_must_fit_their_annotations(name: str, value: object) -> None:
    good = {"i": 1, "s": "", "b": True, "x": b"", "l": [], "d": {}, "o": None}
    bench = Bench(c=COUNTER)
    machine, context = bench.machine, bench.context
    assert bench.call("typed", **good).value == 1
    assert bench.call("typed", **good, n=5).value == 1

    query = COUNTER.replace("@export\ndef typed", "@query\ndef typed")
    bench = Bench(c=query)
    result = machine.query(bench.state.get, context, "c", "typed", {**good, name: value})
    assert result.error.startswith("bad_arguments"), result


def test_missing_arguments_and_wrong_elements_are_bad_arguments() -> None:
    bench = Bench(c=COUNTER)
    assert bench.call("add").error == "bad_arguments: add needs n"
    good = {"l": [1], "d": {"a": ["b"]}}
    assert bench.call("deep_types", **good).ok
    for wrong in ({"l": ["1"]}, {"l": [True]}, {"d": {"a": "b"}}, {"d": {"a": [1]}}):
        assert bench.call("deep_types", **{**good, **wrong}).error.startswith("bad_arguments")


def test_arguments_are_copies_so_that_a_block_can_be_executed_again() -> None:
    bench = Bench(c=COUNTER)
    call = Call("c", "change", {"items": [1], "fields": {"a": 2}})
    transaction = bench.transaction(call)
    first = bench.execute(transaction, transaction)
    second = bench.execute(transaction)
    assert first.results[0] == first.results[1] == second.results[0]
    assert second.results[0].calls[0].value == [1, 2]


def test_gas_is_the_same_each_time_and_runs_out_at_the_limit() -> None:
    bench = Bench(c=COUNTER)
    transaction = bench.transaction(add(1))
    gas = bench.execute(transaction).results[0].calls[0].gas
    assert bench.execute(transaction, gas=gas).results[0].calls[0].gas == gas
    (short,) = bench.execute(transaction, gas=gas - 1).results[0].calls
    assert short.error.startswith("out_of_gas")
    assert short.gas == gas - 1
    assert bench.execute(transaction, gas=gas - 1).writes == {}


def test_results_of_a_transaction_fit_into_their_limit() -> None:
    bench = Bench(c=COUNTER)
    result = bench.submit(*[Call("c", "big", {"n": 100})] * 128, gas=10_000_000)
    kinds = [call.error.partition(":")[0] for call in result.calls]
    assert kinds.count("") >= 8
    assert kinds.count("") + kinds.count("too_large") == 128
    assert len(encode(result)) <= MAX_RESULT_BYTES
    full = bench.call("big", n=1_100, gas=10_000_000)
    assert full.error.startswith("too_large")


def test_unknown_contracts_methods_and_kinds_are_told_apart() -> None:
    bench = Bench(c=COUNTER)
    assert bench.call("add", contract="d", n=1).error.startswith("unknown_contract")
    assert bench.call("nothing").error.startswith("unknown_method")
    assert bench.call("get").error == "unknown_method: no export of that name"
    assert bench.query("add", n=1).error == "unknown_method: no query of that name"


def test_a_new_version_of_a_contract_is_used_from_the_next_call_on() -> None:
    bench = Bench(c=COUNTER)
    assert bench.call("add", n=1).value == 1
    record(bench.state, "c", IMPORT + COUNTER.replace("count.get(0) + n", "count.get(0) + 10 * n"))
    assert bench.call("add", n=1).value == 11


def test_a_state_with_another_source_than_recorded_is_a_fault_of_the_store() -> None:
    bench = Bench(c=COUNTER)
    key = next(key for key in bench.state if key.startswith(b"charter/sources/"))
    bench.state[key] = encode("something else")
    with pytest.raises(Malformed):
        bench.call("add", n=1)


def test_execution_does_not_depend_on_how_deep_it_is_called_from() -> None:
    deep = "@export\ndef go(n: int) -> int:\n    return n if n == 0 else 1 + go(n - 1)\n"
    bench = Bench(c=deep)
    transaction = bench.transaction(Call("c", "go", {"n": 31}), Call("c", "go", {"n": 32}))
    shallow = bench.execute(transaction)
    assert [call.error[:8] for call in shallow.results[0].calls] == ["", "too_deep"]

    def from_depth(levels: int) -> object:
        return bench.execute(transaction) if levels == 0 else from_depth(levels - 1)

    for levels in (100, 300, 500, 800):
        assert from_depth(levels) == shallow


WORST = """
def e(x: list) -> list:
    for a in x:
        for b in x:
            for c in x:
                for d in x:
                    for f in x:
                        for g in x:
                            return {expression}
    return x
@export
def go() -> object:
    return e([1])
"""


def nested_comprehensions(levels: int) -> str:
    expression = "x"
    for _ in range(levels):
        expression = f"[{expression} for y in [1]][0]"
    return expression


@pytest.mark.parametrize(
    "expression",
    [nested_comprehensions(11), "e(" * 30 + "x" + ")" * 30, "not " * 36 + "e(x)"],
)
def test_the_deepest_nesting_that_the_language_allows_fits_on_the_stack(expression: str) -> None:
    bench = Bench(c=WORST.format(expression=expression))
    transaction = bench.transaction(Call("c", "go", {}))
    outcomes: list[object] = []

    def from_depth(levels: int) -> None:
        if levels:
            from_depth(levels - 1)
        else:
            outcomes.append(bench.execute(transaction))

    for levels in range(0, 960, 60):
        thread = threading.Thread(target=from_depth, args=(levels,))
        thread.start()
        thread.join()
    assert outcomes == [outcomes[0]] * 16
    first: Execution = outcomes[0]  # type: ignore[assignment]
    assert first.results[0].calls[0].error.partition(":")[0] in ("", "too_deep")


CHARTER = (
    IMPORT
    + """
records = Map("contracts")
sources = Map("sources")

@init
def setup(contracts: list) -> None:
    for contract in contracts:
        text = contract["source"]
        name = digest(b"health-ledger/contract-source\\x00" + text.encode()).hex()
        entry = {"version": 1, "source": name, "from": height(), "paused": "", "due": 0}
        records[contract["name"]] = [entry]
        sources[name] = text
"""
)
GOVERNANCE = (
    IMPORT
    + 'members = Value("members")\n@init\ndef setup(names: list) -> None:\n    members.set(names)\n'
)


def genesis(*contracts: GenesisContract) -> Genesis:
    return Genesis(1, "test", 1_000, contracts)


def test_a_genesis_runs_every_init_in_order() -> None:
    second = IMPORT + 'v = Value("v")\n@init\ndef setup(x: int) -> None:\n    v.set([x, now()])\n'
    third = IMPORT + "@query\ndef ask() -> int:\n    return 7\n"
    execution = Machine().genesis(
        genesis(
            GenesisContract("governance", GOVERNANCE, {"names": ["a"]}),
            GenesisContract("charter", CHARTER, {}),
            GenesisContract("second", second, {"x": 4}),
            GenesisContract("third", third, {}),
        )
    )
    assert decode_value(execution.writes[b"second/v"] or b"", limit=100) == [4, 1_000]
    identity = hashing.SOURCE(third.encode()).hex()
    assert execution.writes[f"charter/sources/{identity}".encode()] == encode(third)
    answer = Machine().query(
        execution.writes.get, BlockContext(CHAIN, 0, 1_000), "third", "ask", {}
    )
    assert answer.value == 7


@pytest.mark.parametrize(
    ("contracts", "message"),
    [
        ([("governance", GOVERNANCE, {})], "governance.setup: bad_arguments: setup needs names"),
        ([("governance", "import os", {})], "governance: 1:1: E011"),
        (
            [("governance", GOVERNANCE, {"names": []}), ("b", IMPORT + "@query\ndef a() -> int:\n"
              "    return 1\n", {"x": 1})],
            "b has no init",
        ),
        (
            [("governance", GOVERNANCE, {"names": []}),
             ("charter", CHARTER.replace("sources[name]", "sources['a']"), {})],
            "source is not in the state",
        ),
        (
            [("governance", GOVERNANCE, {"names": []}),
             ("charter", CHARTER.replace("records[contract", "records['x' + contract"), {})],
            "the charter did not record the contract governance",
        ),
    ],
)  # fmt: skip
def test_a_genesis_that_cannot_start_says_why(
    contracts: list[tuple[str, str, dict[str, object]]], message: str
) -> None:
    with pytest.raises(GenesisFailed, match=message.replace(".", "[.]")):
        Machine().genesis(genesis(*[GenesisContract(*contract) for contract in contracts]))


def test_the_calls_of_one_transaction_get_no_more_gas_together_than_a_block() -> None:
    bench = Bench(c=COUNTER)
    transaction = bench.transaction(*[add(1)] * 5)
    each = bench.execute(transaction).results[0].calls[1].gas
    limit = 2 * each + each // 2
    execution = bench.machine.execute(
        bench.state.get, bench.context, [transaction], 10_000_000, limit
    )
    (result,) = execution.results
    assert sum(call.gas for call in result.calls) <= limit
    assert result.calls[0].ok
    assert result.calls[-1].error.startswith("out_of_gas")
    assert not result.calls[-1].ok
