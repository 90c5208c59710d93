"""Every shipped consortium plays its day on the production nodes, on virtual time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ledger.scenario.catalogue import FOLDER, Entry, consortia
from ledger.scenario.checking import faults
from ledger.scenario.language import Later
from ledger.scenario.scaling import VALIDATORS, load_small
from ledger.sim.consortia import play

ENTRIES = list(consortia(Path(__file__).parents[3] / FOLDER))
#: The systems of the source papers that have a topology.
NAMES = {
    "yanan", "putuo-ark", "mountain-sea", "baiyulan", "hu-dian", "minhang-zepu", "jingan-bachu",
    "jinshan-yongping", "kashgar-alliance", "kashgar-imaging", "kashgar-health",
    "fuzhou-four-levels", "yunnan-county", "changxing", "tianjin", "deqing", "nanning",
    "hubei-paediatric", "yunnan-lung", "nanshan", "weifang", "aral", "west-china-second", "taiyuan",
    "cangzhou", "anyuan", "donghe", "jining", "als", "shanghai-dementia", "nursing-homes",
    "internet-hospitals",
}  # fmt: skip
#: How many members of a kind the papers count.
COUNTED = [
    ("putuo-ark", "township-centre", 12), ("putuo-ark", "school", 13),
    ("mountain-sea", "county-hospital", 32),
    ("mountain-sea", "provincial-hospital city-hospital", 13),
    ("hu-dian", "county-hospital", 28),
    ("minhang-zepu", "community-centre", 13), ("minhang-zepu", "township-centre", 13),
    ("kashgar-health", "village-station", 2_789),
    ("changxing", "township-centre", 8),
    ("tianjin", "community-centre", 266),
    ("deqing", "township-centre", 12), ("deqing", "provincial-hospital", 4),
    ("nanning", "city-hospital", 1), ("nanning", "county-hospital", 4),
    ("nanning", "township-centre", 20), ("nanning", "custody", 6),
    ("hubei-paediatric", "provincial-hospital city-hospital county-hospital", 222),
    ("yunnan-lung", "provincial-hospital", 7), ("yunnan-lung", "city-hospital", 13),
    ("nanshan", "community-centre", 87),
    ("taiyuan", "city-hospital", 34),
    ("donghe", "community-centre", 16),
    ("jining", "county-hospital", 10), ("jining", "school police care-home", 2_196),
    ("nursing-homes", "care-home", 100),
]  # fmt: skip
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


def test_no_system_is_missing() -> None:
    assert {entry.name for entry in ENTRIES} == NAMES


@pytest.mark.parametrize(("name", "kinds", "count"), COUNTED)
def test_members_are_as_many_as_the_papers_say(name: str, kinds: str, count: int) -> None:
    (entry,) = [entry for entry in ENTRIES if entry.name == name]
    counted = Counter(member.kind for member in entry.config.institutions)
    assert sum(counted[kind] for kind in kinds.split()) == count  # type: ignore[index]


@every
def test_a_day_has_permits_by_several_rules_denials_and_a_refusal(entry: Entry) -> None:
    permits, denies, refusals = entry.outcomes()
    assert len(entry.scenario.steps) >= 12
    assert len(permits) >= 3
    assert denies.total() >= 2
    assert refusals.total() >= 1


@every
def test_every_sharing_contract_of_a_consortium_has_a_part_in_its_day(entry: Entry) -> None:
    assert set(entry.rules) - entry.contracts_played() == set()
