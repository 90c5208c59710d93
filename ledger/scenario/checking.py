"""Whether a scenario speaks of people, institutions, contracts and methods that there are.

Playing would find out too, but only as far as it gets. Here every line is looked at, and each fault
names its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache

from ledger.contracts.annotations import REQUIRED
from ledger.contracts.compiler import Method, compile_contract
from ledger.contracts.sources import library_source
from ledger.node.setup.config import FOUNDING_CONTRACTS, NetworkConfig
from ledger.scenario.language import (
    Act,
    Anchors,
    AsksFor,
    Denies,
    Does,
    Enrols,
    ExpectsAnswer,
    ExpectsEvent,
    Later,
    Permits,
    Scenario,
)
from ledger.scenario.values import Argument, Listed, Mapped, Person, Reference


def faults(scenario: Scenario, config: NetworkConfig) -> list[str]:
    """What is wrong, a sentence each, by line; empty when all is well."""
    looker = _Looker(config)
    found = []
    for step in scenario.steps:
        for what in looker.look(step.act):
            found.append(f"{scenario.name}, line {step.line}: {what}")
    return found


class _Looker:
    """Goes through a scenario in order: people and records are there once they are made."""

    def __init__(self, config: NetworkConfig) -> None:
        self._institutions = {member.id for member in config.institutions}
        self._people = {person.key for person in config.people}
        self._contracts = {
            *FOUNDING_CONTRACTS,
            *(contract.name for contract in config.contracts),
        }
        self._records: set[str] = set()
        self._results: set[str] = set()

    def look(self, act: Act) -> Iterator[str]:
        match act:
            case Later():
                return
            case Anchors():
                yield from self._known(act.subject, self._people, "person")
                yield from self._known(act.holder, self._institutions, "institution")
                if act.officer:
                    yield from self._known(act.officer, self._people, "person")
                if act.record in self._records:
                    yield f"there is a record {act.record!r} already"
                self._records.add(act.record)
            case Enrols():
                for signer in act.signers:
                    yield from self._known(signer, self._people, "person")
                yield from self._known(act.institution, self._institutions, "institution")
                if act.label in self._people:
                    yield f"{act.label!r} is somebody already"
                self._people.add(act.label)
            case Does():
                for signer in act.signers:
                    yield from self._known(signer, self._people, "person")
                yield from self._method(act.contract, act.method, "export", act.arguments)
                if act.result:
                    self._results.add(act.result)
            case AsksFor():
                yield from self._known(act.person, self._people, "person")
                yield from self._known(act.record, self._records, "record")
                if act.institution:
                    yield from self._known(act.institution, self._institutions, "institution")
                if isinstance(act.expected, (Permits, Denies)):
                    contract = act.expected.rule.split(":")[0]
                    yield from self._known(contract, self._contracts, "contract")
                if act.result:
                    self._results.add(act.result)
            case ExpectsEvent():
                yield from self._known(act.contract, self._contracts, "contract")
                yield from self._arguments(act.entries)
            case ExpectsAnswer():
                yield from self._method(act.contract, act.method, "query", act.arguments)

    def _method(
        self, contract: str, method: str, kind: str, arguments: tuple[tuple[str, Argument], ...]
    ) -> Iterator[str]:
        if contract not in self._contracts:
            yield from self._known(contract, self._contracts, "contract")
            return
        own = {name: known for name, known in _methods(contract).items() if known.kind == kind}
        if method not in own:
            yield from self._known(method, own, f"{kind} of {contract}")
            return
        parameters = own[method].parameters
        for name, _value in arguments:
            yield from self._known(name, [one.name for one in parameters], "argument")
        for one in parameters:
            if one.default is REQUIRED and one.name not in dict(arguments):
                yield f"{contract}.{method} needs {one.name}"
        yield from self._arguments(arguments)

    def _arguments(self, arguments: tuple[tuple[str, Argument], ...]) -> Iterator[str]:
        for name, value in arguments:
            if name == "institution" and isinstance(value, str) and value:
                yield from self._known(value, self._institutions, "institution")
            yield from self._value(value)

    def _value(self, value: Argument) -> Iterator[str]:
        match value:
            case Person():
                yield from self._known(value.label, self._people, "person")
            case Listed():
                for item in value.items:
                    yield from self._value(item)
            case Mapped():
                for _name, item in value.items:
                    yield from self._value(item)
            case Reference(kind, arguments):
                first = arguments[0].split(".")[0] if arguments else ""
                if kind in ("record", "name", "pointer", "labels", "digest"):
                    yield from self._known(first, self._records, "record")
                elif kind in ("request", "result"):
                    yield from self._known(first, self._results, "result")
                elif kind in ("key", "token", "labelkey"):
                    yield from self._known(first, self._people, "person")
            case _:
                return

    @staticmethod
    def _known(name: str, names: Iterable[str], what: str) -> Iterator[str]:
        choice = list(names)
        if name not in choice:
            near = difflib.get_close_matches(name, choice, n=1)
            yield f"there is no {what} {name!r}" + (f"; did you mean {near[0]}?" if near else "")


@cache
def _methods(contract: str) -> dict[str, Method]:
    """The methods of a contract of the library."""
    return compile_contract(library_source(contract)).methods
