"""A machine that computes something else than everybody's: other software, or a broken one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ledger.contracts.machine import Execution, Machine


class OddMachine(Machine):
    """Charges one gas more for each call, so results differ and states do not."""

    def execute(self, *args: Any, **kwargs: Any) -> Execution:
        execution = super().execute(*args, **kwargs)
        results = [
            replace(result, calls=tuple(replace(call, gas=call.gas + 1) for call in result.calls))
            for result in execution.results
        ]
        return Execution(results, execution.writes)
