"""Whatever a fuzzing campaign kept, and a fresh handful, gets an answer and costs little."""

import os
import random
import tracemalloc

import pytest

from tests.fuzz.campaign import CORPUS
from tests.fuzz.catalogue import TARGETS
from tests.fuzz.mutation import any_mutation

#: Fresh inputs for each target; more of them with a longer budget.
FRESH = int(os.environ.get("LEDGER_FUZZ_INPUTS", "300"))

#: Targets whose work is more than reading: files, whole conversations, compilation.
LARGE = {"contract", "core", "export", "archive", "archive-records"}


def kept(name):
    folder = CORPUS / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_campaigns_kept_gets_an_answer(name):
    for raw in kept(name):
        TARGETS[name].run(raw)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_damaged_inputs_get_an_answer(name):
    source = random.Random(name)
    pool = [*TARGETS[name].seeds(), *kept(name)]
    for raw in pool:
        TARGETS[name].run(raw)
    for _ in range(FRESH):
        TARGETS[name].run(any_mutation(source.choice(pool), source))


@pytest.mark.parametrize("name", sorted(set(TARGETS) - LARGE))
def test_memory_stays_in_proportion_to_the_input(name):
    source = random.Random(name)
    pool = [*TARGETS[name].seeds(), *kept(name)]
    for raw in pool[:5]:
        TARGETS[name].run(raw)
    tracemalloc.start()
    try:
        for _ in range(40):
            raw = any_mutation(source.choice(pool), source)
            tracemalloc.reset_peak()
            before, _peak = tracemalloc.get_traced_memory()
            TARGETS[name].run(raw)
            _now, peak = tracemalloc.get_traced_memory()
            assert peak - before < 200 * len(raw) + 1_000_000
    finally:
        tracemalloc.stop()
