"""A seed says everything: the same run on every machine, whatever Python's hashes are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ledger.sim.explore import explore, sizes
from ledger.sim.trouble import RARE, TROUBLES

PROGRAM = """
from ledger.sim.explore import explore
outcome = explore(5, validators=4, followers=1)
assert not outcome.broken, outcome.broken
print(outcome.digest, outcome.steps, outcome.height)
"""


def run_with_hash_seed(seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_seed_gives_the_same_trace_in_processes_with_different_hashes():
    first = run_with_hash_seed(1)
    assert first == run_with_hash_seed(12345)
    assert len(first.split()[0]) == 64


def test_another_seed_gives_another_trace():
    assert explore(1).digest == explore(1).digest
    assert explore(1).digest != explore(2).digest


@pytest.mark.parametrize("fault", TROUBLES)
def test_no_fault_alone_breaks_an_invariant(fault: str):
    for seed in range(3):
        outcome = explore(seed, faults=(fault,), audit=True)
        assert not outcome.broken, outcome.broken
        assert outcome.acts[fault]


@pytest.mark.parametrize("seed", [1, 4, 6, 7])
def test_validators_change_amid_all_other_faults(seed: int):
    """These seeds are known to put at least one other set of validators in force."""
    validators, followers = sizes(seed)
    outcome = explore(
        seed,
        validators=validators,
        followers=followers,
        faults=(*TROUBLES, *RARE),
        heights=40,
        trouble_ms=120_000,
    )
    assert not outcome.broken, outcome.broken
    assert outcome.acts["membership"] > 3


def test_all_faults_together_break_no_invariant():
    for seed in range(20):
        outcome = explore(seed, followers=seed % 2)
        assert not outcome.broken, outcome.broken


def test_larger_consortia_survive_too():
    outcome = explore(3, validators=7, followers=2, audit=True)
    assert not outcome.broken, outcome.broken
