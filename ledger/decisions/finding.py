"""Finding a decision on a chain, with everything that explains it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.chain.result import Event
from ledger.contracts.versions import source_key, version_key
from ledger.decisions.origin import Origin, Settled

_TRANSACTION: Final = re.compile(r"([0-9a-f]{64})(?:-(\d{1,6}))?")
#: Fields that tell a decision from other results.
_MARKS: Final = frozenset({"id", "outcome", "path", "asked", "requester", "subject", "record"})
_DECISIONS: Final = "access/decisions"


class NotAnId(ValueError):
    """What was asked for is neither a transaction nor a decision."""


class NotFound(LookupError):
    """The chain has no such transaction, or no decision in it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule said. ``source``: the line of the contract from the chain, or "" where its
    source was not found."""

    effect: str
    rule: str
    contract: str
    version: int
    line: int
    source: str
    until: int
    duties: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Party:
    """A name in the language of whoever reads, as the chain knows it."""

    id: str
    name: str
    name_zh: str

    def said(self, language: str) -> str:
        if language == "zh":
            return self.name_zh or self.name
        return self.name


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of ``access`` with its transaction.

    ``fields``: what the chain remembers, with release and receipt as they are now. ``height`` and
    ``time`` (ms) of its block; ``gas`` of the call; ``events`` of the call. ``steps``: the rules
    that spoke, ``winner`` the one that decided. ``verified``: proven to a holder of the genesis.
    """

    transaction: str
    call: int
    method: str
    height: int
    time: int
    gas: int
    verified: bool
    fields: Mapping[str, Any]
    steps: tuple[Step, ...]
    winner: Step
    institution: Party
    holder: Party
    events: tuple[Event, ...]
    review: Mapping[str, Any] | None = None
    sealed: bool = False

    @property
    def outcome(self) -> str:
        return str(self.fields["outcome"])


@dataclass(slots=True)
class _Sources:
    """Lines of contracts, read from the chain once for each version."""

    origin: Origin
    known: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    def line(self, contract: str, version: int, number: int) -> str:
        if (contract, version) not in self.known:
            self.known[contract, version] = _source(self.origin, contract, version).splitlines()
        lines = self.known[contract, version]
        return lines[number - 1].strip() if 1 <= number <= len(lines) else ""


def _source(origin: Origin, contract: str, version: int) -> str:
    """The source of a version of a contract; "" where the state does not have it."""
    known: Any = origin.entry(version_key(contract, version).decode())
    if not isinstance(known, dict):
        return ""
    text = origin.entry(source_key(known["source"]).decode())
    return text if isinstance(text, str) else ""


def decisions(origin: Origin, name: str) -> list[Decision]:
    """The decisions of a transaction, or the one of an id, in the order of the calls.

    Args:
        origin: the chain.
        name: id of a transaction (64 hex digits), or of a decision (the same, ``-``, a number).

    Raises:
        NotAnId: it is neither.
        NotFound: the chain has no such transaction, or no decision in it.
    """
    match = _TRANSACTION.fullmatch(name.lower())
    if match is None:
        raise NotAnId("an id is 64 hex digits, with -0 for the first decision of several")
    settled = origin.settled(bytes.fromhex(match[1]))
    if settled is None:
        raise NotFound("the chain has no transaction of that id")
    sources = _Sources(origin)
    found = [
        _read(origin, sources, settled, place, value)
        for place, value in _decided(settled)
        if match[2] is None or place == int(match[2])
    ]
    if not found:
        raise NotFound(_why_not(settled, match[2]))
    return found


def _decided(settled: Settled) -> Iterator[tuple[int, dict[str, Any]]]:
    for place, result in enumerate(settled.result.calls):
        if isinstance(result.value, dict) and result.value.keys() >= _MARKS:
            yield place, result.value


def _why_not(settled: Settled, place: str | None) -> str:
    """What the transaction was instead."""
    calls = zip(settled.transaction.body.calls, settled.result.calls, strict=True)
    said = [
        f"{call.contract}.{call.method} " + ("gave no decision" if result.ok else result.error)
        for call, result in calls
    ]
    if place is not None:
        said = said[int(place) : int(place) + 1] or ["it has fewer calls"]
    return f"no decision was made: {'; '.join(said)}"


def _read(
    origin: Origin, sources: _Sources, settled: Settled, place: int, decided: dict[str, Any]
) -> Decision:
    result = settled.result.calls[place]
    # Release and receipt are added later; everything else stays as it was decided.
    now: Any = origin.entry(f"{_DECISIONS}/{decided['id']}")
    fields: dict[str, Any] = now if isinstance(now, dict) else decided
    steps = tuple(_step(sources, step) for step in decided["path"])
    contract, _, rule = str(decided["rule"]).partition(":")
    winner = next(step for step in steps if (step.contract, step.rule) == (contract, rule))
    told = fields.get("told", 0)
    return Decision(
        transaction=settled.transaction.id.hex(),
        call=place,
        method=settled.transaction.body.calls[place].method,
        height=settled.header.height,
        time=settled.header.time,
        gas=result.gas,
        verified=settled.verified,
        fields=fields,
        steps=steps,
        winner=winner,
        institution=_party(origin, str(decided["institution"])),
        holder=_party(origin, str(decided["holder"])),
        events=result.events,
        review=_review(origin, winner),
        sealed="unsealed" not in fields and told > settled.header.time and told > origin.time(),
    )


def _review(origin: Origin, winner: Step) -> Mapping[str, Any] | None:
    """The judgement on an emergency, where the decision rests on one."""
    if winner.contract != "emergency" or "emergency" not in winner.facts:
        return None
    found = origin.entry(f"emergency/emergencies/{winner.facts['emergency']}")
    return found if isinstance(found, dict) else None


def _step(sources: _Sources, step: dict[str, Any]) -> Step:
    contract, version, line = step["contract"], step["version"], step["line"]
    return Step(
        effect=step["effect"],
        rule=step["rule"],
        contract=contract,
        version=version,
        line=line,
        source=sources.line(contract, version, line),
        until=step["until"],
        duties=tuple(step["duties"]),
        facts=step["facts"],
    )


def _party(origin: Origin, identity: str) -> Party:
    known = origin.entry(f"governance/institutions/{identity}") if identity else None
    if not isinstance(known, dict):
        return Party(identity, identity, "")
    return Party(identity, str(known["name"]), str(known["name_zh"]))
