"""Fuzzes one target with libFuzzer: ``python -m tests.fuzz.one TARGET CORPUS [libFuzzer flags]``.

A process of its own, because libFuzzer ends it. `tests.fuzz.campaign` starts these.
"""

from __future__ import annotations

import random
import sys

import atheris

with atheris.instrument_imports(include=["ledger"]):
    from tests.fuzz.catalogue import TARGETS

from tests.fuzz.mutation import any_mutation


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    source = random.Random(seed)
    return any_mutation(bytes(data), source)[:max_size]


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run, custom_mutator=_mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
