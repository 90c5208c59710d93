"""``python -m ledger.bench.gas``: how much time each construct takes for a gas.

Gas stands for time, so what takes longer than its gas says can be used to make nodes slow for
little. Everything is compared with a plain counting loop of the same run: a ratio of 1 means that a
gas buys as much time as there. What a call pays besides, its fixed 500 and its bytes, is left out:
the figure is that of a program that does nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from ledger.bench.gascases import GROUPS, TOP, Case
from ledger.contracts.compiler import Program, compile_contract
from ledger.contracts.grammar import PRELUDE
from ledger.contracts.host import CHARTER, CallContext, Overlay, Run
from ledger.crypto.keys import SigningKey

#: What a construct may take for a gas, in times of what the loop takes.
LIMIT: Final = 5.0
#: Gas that one measurement uses, about, and how often it is repeated; the fastest counts.
GAS: Final = 150_000
REPEATS: Final = 5
#: Turns of the loop: so many at most, and so many copies of the body in each.
_MAX_TURNS: Final = 20_000
_COPIES: Final = 10
#: Events in a call are limited.
_EMITTING_TURNS: Final = 6
_EVERYTHING: Final = 10**15


@dataclass(frozen=True, slots=True)
class Cost:
    """``nanoseconds``: for one execution of the body; ``ratio``: per gas, to the loop's."""

    group: str
    covers: str
    body: str
    size: int | None
    gas: float
    nanoseconds: float
    ratio: float


class _Measured:
    """A program that repeats a body, and what its turns take."""

    def __init__(self, setup: str, body: str) -> None:
        key = SigningKey(bytes(range(32)))
        message = b"message"
        constants = (
            f"KEY = {key.public.hex()!r}\nMESSAGE = {message!r}\nSIGNATURE = bytes_of_signature\n"
        ).replace("bytes_of_signature", _bytes_literal(key.sign(message)))
        lines = "\n    ".join(setup.splitlines())
        copies = "\n        ".join([body] * _COPIES)
        source = (
            f"from ledger.contracts.prelude import {', '.join(sorted(PRELUDE))}\n{TOP}\n"
            f"{constants}\n@export\ndef run(times: int) -> None:\n    {lines}\n"
            f"    for turn in range(times):\n        {copies}\n"
        )
        self._program = _Callee(compile_contract(source))
        self._turns = _EMITTING_TURNS if "emit(" in body else _MAX_TURNS

    def once(self, turns: int) -> tuple[int, float]:
        """Gas and seconds of one run."""
        state: dict[bytes, bytes | None] = {}
        context = CallContext(5, 1_772_208_000_000, ("ab" * 33,), "cd" * 32, 0, bytes(32))
        run = Run(
            _EVERYTHING,
            Overlay(state.get),
            context,
            lambda _: self._program,
            CHARTER,
            readonly=False,
        )
        start = time.process_time()
        self._program.enter(run, "run", {"times": turns})
        return _EVERYTHING - run.gas, time.process_time() - start

    def cost(self, gas: int, repeats: int) -> tuple[float, float]:
        """Gas and seconds of the body, once."""
        few = self.once(1)[0]
        turn = max(self.once(2)[0] - few, 1)
        turns = max(min(gas // turn, self._turns), 2)
        best = nothing = float("inf")
        gc.collect()
        gc.disable()
        try:
            for _ in range(repeats):
                nothing = min(nothing, self.once(0)[1])
                best = min(best, self.once(turns)[1])
        finally:
            gc.enable()
        used = self.once(turns)[0] - self.once(0)[0]
        return used / turns / _COPIES, max(best - nothing, 0.0) / turns / _COPIES


class _Callee:
    """The program, as a contract that calls itself by another name sees it."""

    version = 1
    paused = ""
    init = None

    def __init__(self, program: Program) -> None:
        self._program = program

    def kind(self, method: str) -> str | None:
        return self._program.kind(method)

    def enter(self, run: Run, method: str, arguments: dict[str, Any]) -> Any:
        return self._program.enter(run, method, arguments)


def _bytes_literal(raw: bytes) -> str:
    return "b'" + "".join(f"\\x{byte:02x}" for byte in raw) + "'"


def reference(repeats: int = REPEATS) -> float:
    """Seconds for a gas in a counting loop."""
    loop = _Measured("x = 0", "x += 1")
    gas, seconds = loop.cost(10 * GAS, repeats)
    return seconds / gas


def _cases() -> Iterator[tuple[str, Case, int | None]]:
    for group, cases in GROUPS.items():
        for case in cases:
            for size in case.sizes or (None,):
                yield group, case, size


def _measure(case: Case, size: int | None, gas: int, repeats: int) -> tuple[float, float]:
    number = "" if size is None else str(size)
    setup, body = case.setup.format(n=number), case.body.format(n=number)
    return _Measured(setup, body).cost(gas, repeats)


def measure(gas: int = GAS, repeats: int = REPEATS) -> list[Cost]:
    """The costs of all cases, in the order of the table."""
    # Before and after: the slower of the two, so that a busy machine blames nothing wrongly.
    before = reference(repeats)
    taken = [
        (group, case, size, _measure(case, size, gas, repeats)) for group, case, size in _cases()
    ]
    unit = max(before, reference(repeats))
    return [
        Cost(group, case.covers, case.body, size, used, 1e9 * seconds, seconds / used / unit)
        for group, case, size, (used, seconds) in taken
    ]


def _line(cost: Cost) -> str:
    body = cost.body.replace("\n        ", "; ").replace("{{", "{").replace("}}", "}")
    size = "" if cost.size is None else f" n={cost.size}"
    return (
        f"{cost.ratio:6.2f}  {cost.nanoseconds:12.0f} ns {cost.gas:10.1f} gas  "
        f"{cost.covers}: {body}{size}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the ratios, the dearest first; 1 where one is above the limit."""
    parser = argparse.ArgumentParser(prog="python -m ledger.bench.gas", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--gas", type=int, default=GAS, help="gas of one measurement, about")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--all", action="store_true", help="every case, not only the dearest")
    chosen = parser.parse_args(arguments)
    costs = sorted(measure(chosen.gas, chosen.repeats), key=lambda cost: -cost.ratio)
    out = sys.stdout.write
    if chosen.json:
        out(json.dumps({"limit": LIMIT, "costs": [asdict(cost) for cost in costs]}, indent=1))
        out("\n")
    else:
        for cost in costs if chosen.all else costs[:30]:
            out(_line(cost) + "\n")
        above = sum(cost.ratio > LIMIT for cost in costs)
        out(f"{len(costs)} measurements, {above} above {LIMIT:g}\n")
    return 1 if any(cost.ratio > LIMIT for cost in costs) else 0


if __name__ == "__main__":
    sys.exit(main())
