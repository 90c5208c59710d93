"""What contracts give and cost, for comparison between versions of CPython.

``python -m tests.support.golden`` prints it as JSON; ``tests/data/contracts_golden.json`` is that
output, and changes only together with the protocol.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from typing import Any

from ledger.chain.codec import encode
from ledger.chain.transaction import Call
from ledger.contracts.checker import check
from tests.support.attacks import FORMED_RUNNING, MODULES, MORE_FORMS, REFUSED, RUNNING
from tests.support.corpus import COMPUTED, FORMED, FORMS, OPERATIONS, VALUES
from tests.support.language import COMPUTE, IMPORT, Bench, module, run

COUNTER = """
LIMITS = {"low": 1, "high": [10, 20]}
count = Value("count")
log = Map("log")

def describe(n: int, total: int) -> str:
    return f"{n} of {total}: {n * 100 // total}%"

@export
def add(n: int, note: str = "") -> str:
    total = count.get(0) + n
    require(LIMITS["low"] <= n <= LIMITS["high"][1], "out_of_limits", f"{n}")
    count.set(total)
    log[now(), n] = {"note": note, "by": signers()[0], "at": [height(), call_index()]}
    emit("added", n=n, text=describe(n, total))
    return describe(n, total)

@query
def total() -> int:
    return count.get(0)
"""
POLICY = """
rules = Map("rules")

@export
def permit(person: str, kinds: list[str], until: int) -> int:
    known = rules.get(person, [])
    known.append({"kinds": sorted(kinds), "until": until})
    rules[person] = known
    return len(known)

@query
def decide(person: str, kind: str) -> dict:
    if person not in rules:
        return {"effect": "none", "rule": ""}
    place = 0
    for rule in rules[person]:
        place += 1
        if kind in rule["kinds"] and (rule["until"] == 0 or now() <= rule["until"]):
            return {"effect": "permit", "rule": f"{person}/{place}"}
    return {"effect": "deny", "rule": ""}

@export
def count_and_decide(person: str, kind: str) -> list:
    name = call("counter", "add", n=len(person), note=kind)
    return [name, decide(person, kind), call("counter", "total"), digest(encode([person, kind]))]
"""


def _outcome(result: Any) -> dict[str, Any]:
    return {"error": result.error, "gas": result.gas, "result": sha256(encode(result)).hexdigest()}


def outcomes() -> dict[str, Any]:
    """Errors, gas and hashes of results of everything in the corpus."""
    bench = Bench(counter=COUNTER, policy=POLICY)
    permit = {"person": "李医生", "kinds": ["imaging", "ecg"], "until": 2_000}
    ask = {"person": "李医生", "kind": "ecg"}
    calls = [
        Call("counter", "add", {"n": 5}),
        Call("counter", "add", {"n": 21, "note": "x"}),
        Call("policy", "permit", permit),
        Call("policy", "permit", {**permit, "until": 0}),
        Call("policy", "count_and_decide", ask),
        Call("policy", "count_and_decide", {"person": "", "kind": "ecg"}),
    ]
    made = bench.submit(*calls)
    state = sorted((key, value) for key, value in bench.state.items() if value is not None)
    operations = {}
    for operation in OPERATIONS:
        source = (
            f"VALUES = {VALUES}\n@query\ndef go(i: int, j: int) -> object:\n"
            f"    x = VALUES[i]\n    y = VALUES[j]\n    v = {operation}\n    return v\n"
        )
        operated = Bench(c=source)
        pairs = [(i, j) for i in range(len(VALUES)) for j in range(len(VALUES))]
        results = [operated.query("go", i=i, j=j) for i, j in pairs]
        gas = sum(result.gas for result in results)
        operations[operation] = [gas, sha256(encode(results)).hexdigest()]
    return {
        "contracts": [_outcome(call) for call in made.calls],
        "state": sha256(encode([list(entry) for entry in state])).hexdigest(),
        "refused": {
            name: sorted(
                {problem.code for problem in check(f"{IMPORT}@export\ndef go(a: int) -> object:\n"
                                                   f"    {body}\n")}
            )
            for name, body in REFUSED.items()
        },
        "computed": {
            expression: _outcome(run(f"return {expression}", top=COMPUTE))
            for expression in COMPUTED
        },
        "formed": {
            expression: _outcome(run(f"return {expression}", top=COMPUTE + FORMS))
            for expression in FORMED
        },
        "modules": {
            name: sorted({problem.code for problem in check(module(lines))})
            for name, lines in MODULES.items()
        },
        "formed_running": {
            name: _outcome(run(body, gas=200_000, top=COMPUTE + FORMS + MORE_FORMS))
            for name, body in FORMED_RUNNING.items()
        },
        "running": {name: _outcome(run(body, gas=200_000)) for name, body in RUNNING.items()},
        "operations": operations,
    }  # fmt: skip


def text() -> str:
    return json.dumps(outcomes(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
