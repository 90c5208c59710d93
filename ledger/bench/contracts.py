"""What contracts cost: against CPython, by gas, and as the number of consents grows.

Times are CPU time of one thread, the least of several rounds, so that other work on the machine
counts as little as possible.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ledger.bench.plain import PlainWorld
from ledger.chain.codec import encode
from ledger.chain.rows import key_number, map_number
from ledger.chain.store import Store
from ledger.chain.transaction import Body, Call, Transaction, sign_transaction
from ledger.contracts.checker import read_contract
from ledger.contracts.machine import BlockContext, Machine
from ledger.workbench.chain import FACTS, Chain
from ledger.workbench.consortium import NOTE, PATIENT, REPLY_KEY, key_of, name_of, pointer

ROUNDS: Final = 5
#: CPU seconds that one round takes at least.
ROUND_S: Final = 0.02
GAS: Final = 2_000_000
SIZES: Final = (1, 100, 10_000, 1_000_000)
#: Patients of whom records are asked for; at most so many decisions are told apart.
ASKED: Final = 100
#: What is asked about treatment in a consortium such as those that ship with the ledger.
USUAL: Final = ("consent", "referral TREAT", "recognition TREAT", "emergency TREAT")


@dataclass(frozen=True, slots=True)
class Cost:
    """One method. ``micros``: of the interpreter; ``plain``: of CPython for the same call, 0 where
    it was not measured. ``gas``: what the call costs without its base price."""

    contract: str
    method: str
    gas: int
    micros: float
    plain: float

    @property
    def per_second(self) -> float:
        return 1e6 / self.micros

    @property
    def ratio(self) -> float:
        return self.micros / self.plain if self.plain else 0.0


@dataclass(frozen=True, slots=True)
class Size:
    """Decisions on a state with many consents. ``asked``: contracts that each of them asked."""

    consents: int
    state: str
    micros: float
    gas: int
    asked: int


def measure(work: Callable[[], object]) -> float:
    """CPU microseconds of one call: the least of several rounds."""
    work()
    count, spent = 1, 0.0
    while True:
        spent = _timed(work, count)
        if spent >= ROUND_S:
            break
        count *= 2
    return min(spent, *(_timed(work, count) for _ in range(ROUNDS - 1))) / count * 1e6


def _timed(work: Callable[[], object], count: int) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time()
        for _ in range(count):
            work()
        return time.thread_time() - start
    finally:
        gc.enable()


# Each contract against CPython


def prepared() -> tuple[Chain, list[tuple[str, str, str, dict[str, Any]]]]:
    """A chain, and for each contract what is called: contract, method, signer, arguments."""
    chain = Chain()
    chain.patient().permits("c1", purposes=["TREAT"], institutions=["county"])
    record = chain.record()
    facts = {**FACTS, "record": name_of(record).hex(), "labels_root": record["labels"]}
    calls: list[tuple[str, str, str, dict[str, Any]]] = [
        (name, "decide", "", {"request": facts})
        for name, source in chain.sources.items()
        if "decide" in read_contract(source).functions
    ]
    asking = {"pointer": record, "proof": {}, "institution": "county", "reply_key": REPLY_KEY}
    calls += [
        ("access", "request", "gao", {**asking, "purpose": "TREAT", "case": "", "labels": []}),
        ("access", "break_glass", "gao", {**asking, "reason": "unconscious", "note": NOTE}),
        ("records", "anchor", "city-1", {"pointer": pointer(kind="imaging")}),
        ("consent", "grant", PATIENT,
         {"id": "c2", "subject": PATIENT, "scope": {"purposes": ["TREAT"]}}),
        ("consent", "withdraw", PATIENT, {"id": "c1"}),
        ("recognition", "check_in", PATIENT, {"institution": "county", "subject": PATIENT}),
        ("registry", "enrol", "county-clerk",
         {"id": "new", "institution": "county", "roles": ["nurse"],
          "keys": [key_of("new").public.hex()]}),
    ]  # fmt: skip
    return chain, calls


def costs() -> list[Cost]:
    """Every ``decide`` of the library, and the exports that are called most."""
    chain, calls = prepared()
    return [_cost(chain, *call) for call in calls]


def both(
    chain: Chain, contract: str, method: str, signer: str, arguments: dict[str, Any]
) -> tuple[Callable[[], Any], Callable[[], Any], int]:
    """The same call by the interpreter and by CPython, each giving its value; and the gas."""
    context = BlockContext(chain.chain, chain.height + 1, chain.time)
    read = chain.state.get
    machine = chain.machine
    if signer:
        transaction = _signed(chain.chain, contract, method, signer, arguments)
        name = transaction.id.hex()

        def interpreted() -> Any:
            return machine.execute(read, context, [transaction], GAS).results[0].calls[0]
    else:
        name = ""

        def interpreted() -> Any:
            return machine.query(read, context, contract, method, arguments)

    keys = [key_of(signer).public.hex()] if signer else []
    plain = PlainWorld(chain.sources, chain.state, context, keys, name)

    def by_python() -> Any:
        plain.written.clear()
        plain.events.clear()
        return plain.call(contract, method, **arguments)

    result = interpreted()
    assert result.ok, f"{contract}.{method}: {result.error}"
    return interpreted, by_python, result.gas


def _cost(chain: Chain, contract: str, method: str, signer: str, arguments: dict[str, Any]) -> Cost:
    interpreted, by_python, gas = both(chain, contract, method, signer, arguments)
    return Cost(contract, method, gas, measure(interpreted), measure(by_python))


def _signed(
    chain: bytes, contract: str, method: str, signer: str, arguments: dict[str, Any]
) -> Transaction:
    key = key_of(signer)
    call = Call(contract, method, arguments)
    body = Body(chain, b"bench", 0, 1_000_000, False, (call,), (key.public,))
    return sign_transaction(body, key)


# Decisions as consents grow


def pseudonym(number: int) -> str:
    return f"p-{number:032x}"


def consents(number: int, template: Mapping[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    """The entries of one more patient's consent, as the contract would have written them."""
    name, subject = f"n{number:07}", pseudonym(number)
    force = [{**entry, "consent": name} for entry in template["force"]]
    return (
        (f"consent/subjects/{subject}".encode(), encode(force)),
        (f"consent/consents/{name}".encode(), encode({**template["consent"], "subject": subject})),
    )


class Crowd:
    """A chain on which many patients have one consent each, and requests for records of some.

    ``policies``: what ``access`` asks; None for all contracts of the library that may be asked.
    """

    def __init__(self, policies: Sequence[str] | None = USUAL) -> None:
        arguments: dict[str, Any] = {}
        if policies is not None:
            arguments["access"] = {"policies": list(policies), "permit_hours": 24}
        self.chain = Chain(arguments=arguments)
        self.chain.patient().permits("c1", purposes=["TREAT"], institutions=["county"])
        self._template = {
            "force": self.chain.entry(f"consent/subjects/{PATIENT}"),
            "consent": self.chain.entry("consent/consents/c1"),
        }
        anchored = self.chain.record()
        self._anchor = self.chain.state[f"records/single/{name_of(anchored).hex()}".encode()]

    def entries(self, first: int, last: int) -> list[tuple[bytes, bytes]]:
        """Of the patients from ``first`` to before ``last``."""
        return [
            entry for number in range(first, last) for entry in consents(number, self._template)
        ]

    def requests(self, patients: int) -> tuple[list[Transaction], list[tuple[bytes, bytes]]]:
        """Signed requests for one record of each of some patients, spread over all of them; and
        the entries of those records."""
        count = min(ASKED, patients)
        asked = [number * patients // count for number in range(count)]
        transactions, anchors = [], []
        for number in asked:
            record = pointer(subject=pseudonym(number))
            anchors.append((f"records/single/{name_of(record).hex()}".encode(), self._anchor))
            arguments = {
                "pointer": record, "proof": {}, "purpose": "TREAT", "institution": "county",
                "reply_key": REPLY_KEY,
            }  # fmt: skip
            transactions.append(_signed(self.chain.chain, "access", "request", "gao", arguments))
        return transactions, anchors

    def decide(
        self, read: Callable[[bytes], bytes | None], transactions: Sequence[Transaction]
    ) -> tuple[float, int, int]:
        """CPU microseconds, gas and contracts asked of one decision, over all the requests."""
        context = BlockContext(self.chain.chain, self.chain.height + 1, self.chain.time)
        machine = Machine()

        def work() -> Any:
            for transaction in transactions:
                result = machine.execute(read, context, [transaction], GAS).results[0].calls[0]
                assert result.value["rule"] == "consent:patient-permits", result
            return result

        found = work()
        return measure(work) / len(transactions), found.gas, len(found.value["asked"])


def growth(sizes: Sequence[int]) -> list[Size]:
    """Decisions on states in memory with so many consents."""
    crowd = Crowd()
    state = dict(crowd.chain.state)
    found: list[Size] = []
    known = 0
    for consents_ in sorted(sizes):
        state.update(crowd.entries(known, consents_))
        known = consents_
        transactions, anchors = crowd.requests(consents_)
        state.update(anchors)
        micros, gas, asked = crowd.decide(state.get, transactions)
        found.append(Size(consents_, "memory", micros, gas, asked))
    return found


def with_all() -> Size:
    """Decisions where every contract of the library is asked that may be asked about treatment."""
    crowd = Crowd(None)
    state = dict(crowd.chain.state)
    state.update(crowd.entries(0, 100))
    transactions, anchors = crowd.requests(100)
    state.update(anchors)
    return Size(100, "memory", *crowd.decide(state.get, transactions))


def on_disk(consents_: int) -> Size:
    """Decisions on a SQLite store with so many consents, each patient's entries read from it.

    The rows are those of a node's store; the state tree, which decisions do not read, is left out.
    What every decision reads (contracts, settings, the requester) is in memory, as in a node.
    """
    crowd = Crowd()
    transactions, anchors = crowd.requests(consents_)
    with tempfile.TemporaryDirectory() as home:
        store = Store.open(str(Path(home) / "ledger.db"), create=True)
        try:
            number = 0
            for first in range(0, consents_, 20_000):
                entries = crowd.entries(first, min(first + 20_000, consents_))
                number = _insert(store, entries + (anchors if first == 0 else []), number)
            common = crowd.chain.state

            def read(key: bytes) -> bytes | None:
                return common[key] if key in common else store.value(key)

            micros, gas, asked = crowd.decide(read, transactions)
        finally:
            store.close()
    return Size(consents_, "SQLite", micros, gas, asked)


def _insert(store: Store, entries: Sequence[tuple[bytes, bytes]], number: int) -> int:
    rows = [
        (place, key_number(key), map_number(key), 1, key, value)
        for place, (key, value) in enumerate(entries, number)
    ]
    with store.maintenance() as writer:
        writer.many(store.queries.add_state, rows)
    return number + len(rows)


# The report


def main(*, sizes: Sequence[int], disk: bool, as_json: bool) -> int:
    """Measure and print; 0."""
    found = costs()
    grown = growth(sizes)
    if disk:
        grown.append(on_disk(max(sizes)))
    spread = _spread(grown)
    grown.append(with_all())
    if as_json:
        print_json(found, grown, spread)
        return 0
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    table = Table("method", "calls/s", "µs", "gas", "gas/µs", "CPython µs", "ratio")
    for column in table.columns[1:]:
        column.justify = "right"
    for cost in found:
        table.add_row(
            f"{cost.contract}.{cost.method}", f"{cost.per_second:,.0f}", f"{cost.micros:.1f}",
            f"{cost.gas:,}", f"{cost.gas / cost.micros:.0f}", f"{cost.plain:.1f}",
            f"{cost.ratio:.1f}",
        )  # fmt: skip
    out.print(table)
    table = Table("consents", "state", "µs a decision", "decisions/s", "gas", "contracts asked")
    for column in (*table.columns[:1], *table.columns[2:]):
        column.justify = "right"
    for size in grown:
        table.add_row(
            f"{size.consents:,}", size.state, f"{size.micros:.0f}", f"{1e6 / size.micros:,.0f}",
            f"{size.gas:,}", str(size.asked),
        )  # fmt: skip
    out.print(table)
    out.print(f"in memory, the slowest takes {spread:.2f} times as long as the fastest")
    return 0


def _spread(grown: Sequence[Size]) -> float:
    memory = [size.micros for size in grown if size.state == "memory"]
    return max(memory) / min(memory)


def print_json(found: Sequence[Cost], grown: Sequence[Size], spread: float) -> None:
    """One JSON object on standard output."""
    json.dump(
        {
            "contracts": [
                asdict(cost) | {"per_second": cost.per_second, "ratio": cost.ratio}
                for cost in found
            ],
            "decisions": [asdict(size) for size in grown],
            "spread_in_memory": spread,
        },
        sys.stdout,
        indent=2,
    )
    sys.stdout.write("\n")
