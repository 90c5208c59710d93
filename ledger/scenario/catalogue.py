"""The consortia that ship with the software: a configuration each, with a scenario beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from ledger.node.setup.config import NetworkConfig, load_config
from ledger.scenario.language import (
    SUFFIX,
    AsksFor,
    Denies,
    Does,
    ExpectsAnswer,
    ExpectsEvent,
    Permits,
    Refuses,
    Scenario,
)
from ledger.scenario.parser import load_scenario

FOLDER: Final = "network-configs"

#: The source papers by number, as the table names them.
PAPERS: Final = {
    "000": "Putuo islands",
    "001": "Shanghai counterpart support",
    "002": "county medical communities",
    "003": "Yan'an",
    "004": "national case collection 2023",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A consortium as a whole. ``config`` has the groups in full."""

    path: Path
    config: NetworkConfig
    scenario: Scenario

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def rules(self) -> tuple[str, ...]:
        """The sharing contracts, in the order in which `access` asks them."""
        for contract in self.config.contracts:
            if contract.name == "access":
                policies = contract.arguments.get("policies", [])
                return tuple(str(policy).split(" ")[0] for policy in policies)
        return ()

    @property
    def validators(self) -> int:
        return sum(node.role == "validator" for node in self.config.nodes())

    def outcomes(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """How often each rule permits and denies in the scenario, and each code refuses."""
        permits: Counter[str] = Counter()
        denies: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        for step in self.scenario.steps:
            expected = getattr(step.act, "expected", None)
            if isinstance(expected, Refuses):
                refusals[expected.code] += 1
            elif isinstance(step.act, AsksFor) and isinstance(expected, Permits):
                permits[expected.rule] += 1
            elif isinstance(step.act, AsksFor) and isinstance(expected, Denies):
                denies[expected.rule] += 1
        return permits, denies, refusals

    def contracts_played(self) -> set[str]:
        """The contracts that the scenario calls, asks, or names as deciding."""
        played: set[str] = set()
        for step in self.scenario.steps:
            act = step.act
            if isinstance(act, Does | ExpectsAnswer | ExpectsEvent):
                played.add(act.contract)
            elif isinstance(act, AsksFor) and isinstance(act.expected, Permits | Denies):
                played.add(act.expected.rule.split(":")[0])
        return played


def folder() -> Path:
    """Where they are: inside the package when it was installed, beside it in a checkout."""
    with as_file(files("ledger")) as package:
        places = (package / FOLDER, package.parent / FOLDER)
        return next((place for place in places if place.is_dir()), places[0])


def scenario_of(config: Path) -> Path | None:
    """The scenario beside a configuration, if there is one."""
    path = config.with_suffix(SUFFIX)
    return path if path.is_file() else None


def consortia(place: Path | None = None) -> Iterator[Entry]:
    """All with a scenario, by name; raises `InvalidFile` and `InvalidScenario`."""
    for path in sorted((place or folder()).glob(f"*{SUFFIX}")):
        config = path.with_suffix(".toml")
        yield Entry(config, load_config(config), load_scenario(path))


def table(entries: Iterator[Entry]) -> str:
    """The table of ``docs/consortia.md``, as Markdown."""
    lines = [
        "| system | source | members | validators | sharing contracts | what the scenario shows |",
        "|---|---|---|---|---|---|",
    ]
    for entry in entries:
        told = entry.scenario
        source = "; ".join(f"{paper} {PAPERS[paper]}" for paper in told.source)
        link = f"[{entry.name}](../{FOLDER}/{entry.name}.toml), "
        link += f"[scenario](../{FOLDER}/{entry.name}{SUFFIX})"
        lines.append(
            f"| {told.title} ({told.title_zh}): {link} | {source} "
            f"| {len(entry.config.institutions):,} | {entry.validators} "
            f"| {' '.join(entry.rules)} | {told.shows}. Trap: {told.trap}. |"
        )
    return "\n".join(lines) + "\n"
