"""Runs seeds of simulated trouble, and holds each run to the model.

python -m tests.model.seeds 1000 500    500 seeds from 1000 on, with 4 and with 7 validators
"""

from __future__ import annotations

import sys

from tests.model.acceptance import accept
from tests.support.trouble import run


def main(first: int, count: int) -> int:
    runs = votes = failed = slowest = 0
    for seed in range(first, first + count):
        for size in (4, 7):
            runs += 1
            try:
                outcome = run(seed, size)
                votes += accept(outcome.world)
                slowest = max(slowest, outcome.recovery)
            except AssertionError as broken:
                failed += 1
                sys.stdout.write(f"seed {seed}, {size} validators: {broken}\n")
    sys.stdout.write(
        f"{runs} runs, {votes} votes accepted, {failed} failed, "
        f"progress at most {slowest} ms after the trouble\n"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
