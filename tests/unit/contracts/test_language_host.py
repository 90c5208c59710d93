from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.chain import merkle
from ledger.chain.codec import encode
from ledger.chain.pointer import commitment
from ledger.chain.transaction import Call
from tests.support.language import KEY, OTHER_KEY, Bench, entry, record, run, value_of

STORE = """
entries = Map("entries")
single = Value("single")

@export
def put(key: object, value: object) -> None:
    entries[key] = value

@export
def put_pair(first: str, second: int, value: object) -> None:
    entries[first, second] = value

@export
def remove(key: str) -> None:
    del entries[key]

@export
def add(key: str, more: object) -> object:
    entries[key] += more
    return entries[key]

@export
def set_single(value: object) -> object:
    before = single.get("nothing")
    single.set(value)
    return before

@export
def change_a_copy(key: str) -> list:
    entries[key].append(9)
    return entries[key]

@query
def get(key: object) -> object:
    return entries[key]

@query
def has(key: str) -> list:
    return [key in entries, key not in entries, entries.get(key), entries.get(key, default=7)]
"""


def test_state_is_kept_under_readable_keys() -> None:
    bench = Bench(c=STORE)
    bench.call("put", key="a", value={"z": 1, "b": [True]})
    bench.call("put", key=-5, value=None)
    bench.call("put_pair", first="x", second=3, value=b"\x00")
    bench.call("set_single", value="s")
    written = {key: value for key, value in bench.state.items() if key.startswith(b"c/")}
    assert written == {
        b"c/entries/a": encode({"b": [True], "z": 1}),
        b"c/entries/-5": encode(None),
        b"c/entries/x/3": encode(b"\x00"),
        b"c/single": encode("s"),
    }


def test_reads_find_what_was_written_and_nothing_else() -> None:
    bench = Bench(c=STORE)
    bench.call("put", key="a", value=1)
    assert bench.query("has", key="a").value == [True, False, 1, 1]
    assert bench.query("has", key="b").value == [False, True, None, 7]
    assert bench.query("get", key="b").error == "missing_key: no entry b (c:36)"
    assert bench.call("set_single", value=2).value == "nothing"
    assert bench.call("set_single", value=3).value == 2


def test_a_deleted_entry_is_gone_and_cannot_be_deleted_twice() -> None:
    bench = Bench(c=STORE)
    bench.call("put", key="a", value=1)
    assert bench.call("remove", key="a").ok
    assert bench.state[b"c/entries/a"] is None
    assert bench.call("remove", key="a").error.startswith("missing_key")


def test_an_entry_is_a_copy_until_it_is_set() -> None:
    bench = Bench(c=STORE)
    bench.call("put", key="a", value=[1])
    assert bench.call("change_a_copy", key="a").value == [1]
    assert bench.call("add", key="a", more=[2]).value == [1, 2]
    assert bench.call("add", key="b", more=[2]).error.startswith("missing_key")


def test_a_dict_from_the_state_is_in_the_order_of_its_keys() -> None:
    bench = Bench(
        c="""
m = Map("m")
@export
def go() -> list:
    d = {"b": 1, "a": 2, "C": 3}
    m["x"] = d
    return [d.keys(), m["x"].keys()]
"""
    )
    assert bench.call("go").value == [["b", "a", "C"], ["C", "a", "b"]]


@pytest.mark.parametrize("key", ["", "a/b", "a\nb", "\x7f", "a\x00", "\x85", "a" * 503, "中" * 168])
def test_a_key_that_could_be_taken_for_another_is_refused(key: str) -> None:
    result = Bench(c=STORE).call("put", key=key, value=1)
    assert result.error.partition(":")[0] in ("value_error", "too_large")


@pytest.mark.parametrize("key", [None, True, b"a", ["a"]])
def test_keys_are_texts_integers_and_tuples_of_them(key: object) -> None:
    assert Bench(c=STORE).call("put", key=key, value=1).error.startswith("type_error")


def test_the_longest_key_fits() -> None:
    assert Bench(c=STORE).call("put", key="a" * (512 - len("c/entries/")), value=1).ok


def test_a_value_larger_than_the_limit_is_not_stored() -> None:
    bench = Bench(c='m = Map("m")\n@export\ndef go() -> None:\n    m["a"] = ["x" * 200000] * 6')
    assert bench.call("go", gas=10_000_000).error.startswith("too_large")


def test_contracts_know_block_transaction_and_signers() -> None:
    bench = Bench(
        c="""
@export
def go() -> list:
    return [signers(), caller(), height(), now(), transaction(), call_index()]
@query
def ask() -> list:
    return [signers(), caller(), height(), now(), transaction(), call_index()]
"""
    )
    transaction = bench.transaction(Call("c", "go", {}), Call("c", "go", {}))
    calls = bench.execute(transaction).results[0].calls
    keys = [KEY.public.hex(), OTHER_KEY.public.hex()]
    assert [call.value for call in calls] == [
        [keys, "", 1, 1000, transaction.id.hex(), 0],
        [keys, "", 1, 1000, transaction.id.hex(), 1],
    ]
    assert bench.query("ask").value == [[], "", 1, 1000, "", 0]


def test_require_and_fail_end_the_call_with_the_authors_code() -> None:
    assert run("require(1 == 1, 'fine')\nreturn 1").value == 1
    assert run("require([], 'not_yours', 'ask her')").error == "not_yours: ask her (c:4)"
    assert run("fail('NO')").error == "NO:  (c:4)"
    assert run("fail('x', 'y' * 300)").error == f"x: {'y' * 200} (c:4)"
    assert run("fail('two words')").error.startswith("value_error")
    assert run("fail(5)").error.startswith("value_error")
    assert run("fail('x', 5)").error.startswith("type_error")


def test_events_are_in_the_result_in_order() -> None:
    result = run("emit('first', b=1, a=[2])\nemit('second')\nreturn None")
    assert [(event.contract, event.name, event.fields) for event in result.events] == [
        ("c", "first", {"a": [2], "b": 1}),
        ("c", "second", {}),
    ]
    assert run("emit('bad name')").error.startswith("value_error")
    assert run("emit('x', a=(1, 2))").error.startswith("type_error")
    assert run("for i in range(65):\n    emit('x')").error.startswith("too_large")
    assert run("emit('x', a='y' * 70000)").error.startswith("too_large")
    assert run("emit('x')\nfail('no')").events == ()


def test_an_event_is_what_it_was_when_it_was_emitted() -> None:
    result = run("x = [1]\nemit('e', x=x)\nx.append(2)\nreturn x")
    assert result.events[0].fields == {"x": [1]}


def test_hashes_commitments_and_encodings_are_those_of_the_chain() -> None:
    assert value_of("digest(b'abc')") == sha256(b"abc").digest()
    assert value_of("encode({'b': 1, 'a': [None, True, b'x']})") == encode(
        {"b": 1, "a": [None, True, b"x"]}
    )
    assert value_of("from_hex('00ffAb')") == b"\x00\xff\xab"
    assert value_of("commitment(salt, 'text')", salt=b"s" * 16) == commitment(b"s" * 16, "text")
    for text in ("0", "0g", "00 ", " 00", "0x00", "００"):
        assert run("return from_hex(t)", t=text).error.startswith("value_error"), text


def test_signatures_are_verified_as_the_chain_does() -> None:
    message = b"message"
    known = {"k": KEY.public.hex(), "m": message, "s": KEY.sign(message)}
    verify = "verify_signature(k, m, s)"
    assert value_of(verify, **known) is True
    assert value_of(verify, **{**known, "m": b"other"}) is False
    assert value_of(verify, **{**known, "s": b"short"}) is False
    for odd in ("", "zz", "00", "01" * 200, KEY.public.hex() + "00"):
        assert value_of(verify, **{**known, "k": odd}) is False


def test_merkle_paths_lead_to_the_root_of_rfc_9162() -> None:
    leaves = [bytes([place]) for place in range(7)]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    for index, leaf in enumerate(leaves):
        path = list(merkle.inclusion_path(hashes, index))
        known = {"leaf": leaf, "i": index, "path": path}
        assert value_of("merkle_root(leaf, i, 7, path)", **known) == merkle.root(leaves)
    for bad in ("merkle_root(b'x', 7, 7, [])", "merkle_root(b'x', -1, 7, [])",
                "merkle_root(b'x', 0, 7, [b'short'])", "merkle_root(b'x', 0, 1, [b''] * 65)",
                "merkle_root(b'x', 0, 9223372036854775807, [])"):  # fmt: skip
        assert value_of(bad) is None
    assert run("return merkle_root(b'x', 0, 2, ['a'])").error.startswith("type_error")


CALLEE = """
m = Map("m")
@export
def note(text: str, items: list = []) -> dict:
    m[text] = caller()
    items.append(1)
    emit("noted", text=text)
    return {"signers": len(signers()), "items": items}
@export
def back(contract: str, method: str) -> object:
    return call(contract, method)
@export
def refuse() -> None:
    m["refused"] = 1
    fail("refused", "always")
@query
def read(text: str) -> object:
    return m.get(text)
@query
def relay(contract: str, method: str) -> object:
    return call(contract, method)
@init
def setup() -> None:
    m["a"] = 1
"""
CALLER = """
n = Map("n")
@export
def go() -> list:
    items = [0]
    first = call("callee", "note", text="t", items=items)
    return [first, items, call("callee", method := "read", text="t")]
@export
def do(method: str) -> object:
    n["before"] = 1
    return call("callee", method)
@export
def around(method: str) -> object:
    return call("callee", "back", contract="caller", method=method)
@export
def plain() -> int:
    return 5
@query
def ask() -> list:
    return [caller(), n.get("before")]
@query
def sneaky() -> object:
    return call("callee", "note", text="t")
@query
def sneaky_too() -> object:
    return call("callee", "relay", contract="caller", method="plain")
""".replace("method := ", "")


def test_contracts_call_each_other_with_copies_and_keep_their_own_state() -> None:
    bench = Bench(callee=CALLEE, caller=CALLER)
    result = bench.call("go", contract="caller")
    assert result.value == [{"signers": 2, "items": [0, 1]}, [0], "caller"]
    assert result.events[0].contract == "callee"
    assert bench.state[b"callee/m/t"] == encode("caller")


def test_a_failure_in_a_called_contract_undoes_everything() -> None:
    bench = Bench(callee=CALLEE, caller=CALLER)
    result = bench.call("do", contract="caller", method="refuse")
    assert result.error == "refused: always (callee:16)"
    assert not any(key.startswith((b"callee/", b"caller/")) for key in bench.state)


def test_a_running_contract_can_only_be_queried() -> None:
    bench = Bench(callee=CALLEE, caller=CALLER)
    assert bench.call("around", contract="caller", method="ask").value == ["callee", None]
    assert bench.call("around", contract="caller", method="plain").error.startswith("reentrant")


def test_a_query_writes_nothing_not_even_through_others() -> None:
    bench = Bench(callee=CALLEE, caller=CALLER)
    assert bench.query("sneaky", contract="caller").error.startswith("read_only")
    assert bench.query("sneaky_too", contract="caller").error.startswith("read_only")


@pytest.mark.parametrize(
    ("method", "code"),
    [("setup", "unknown_method"), ("nothing", "unknown_method"), ("note", "bad_arguments")],
)
def test_only_exports_and_queries_are_called(method: str, code: str) -> None:
    bench = Bench(callee=CALLEE, caller=CALLER)
    assert bench.call("do", contract="caller", method=method).error.startswith(code)


def test_a_contract_that_is_not_there_or_not_yet_is_unknown() -> None:
    bench = Bench(caller=CALLER)
    assert bench.call("do", contract="caller", method="read").error.startswith("unknown_contract")
    source = (
        "from ledger.contracts.prelude import export\n@export\ndef go() -> int:\n    return 1\n"
    )
    record(bench.state, "later", source, schedule=[entry(source, since=5)])
    assert bench.call("go", contract="later").error.startswith("unknown_contract")
    bench.height = 5
    assert bench.call("go", contract="later").value == 1
    for name in ("", "a/b", "../x", "c/contracts", "名", "a b"):
        assert bench.call("go", contract=name or "_").error.startswith("unknown_contract")


def test_a_contract_whose_source_is_none_is_unknown() -> None:
    bench = Bench(c="import os\n")
    assert bench.call("go").error == "unknown_contract: no such contract"
