"""Every shipped consortium plays its day on the production nodes, on virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.scenario.catalogue import FOLDER, Entry, consortia
from ledger.scenario.checking import faults
from ledger.scenario.language import Later
from ledger.scenario.scaling import VALIDATORS, load_small
from ledger.sim.consortia import play

ENTRIES = list(consortia(Path(__file__).parents[3] / FOLDER))
every = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@every
def test_the_day_goes_as_the_scenario_says(entry: Entry) -> None:
    config = load_small(entry.path)
    assert len(config.nodes()) == VALIDATORS
    assert faults(entry.scenario, config) == []
    played = play(entry.scenario, config)
    assert (played.steps, played.left) == (len(entry.scenario.steps), 0)
    assert (played.permits, played.denies, played.refusals) == entry.outcomes()
    waits = [step.act.duration for step in entry.scenario.steps if isinstance(step.act, Later)]
    assert played.waited == sum(waits)
