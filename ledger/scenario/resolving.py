"""What the references of a scenario stand for while it is played."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, Final

from ledger.chain.pointer import Pointer, commitment, record_digest
from ledger.chain.tokens import LabelKey, tokens_root
from ledger.fhir.labels import sensitivity_lineage
from ledger.scenario.cast import Cast
from ledger.scenario.language import Anchors
from ledger.scenario.values import (
    Argument,
    Arguments,
    Listed,
    Mapped,
    Moment,
    Person,
    Reference,
    scalar,
)

MEDIA: Final = "application/fhir+json"
_CHINA: Final = timezone(timedelta(hours=8))


class NothingThere(ValueError):
    """A reference to something that the scenario has not made."""


@dataclass(frozen=True, slots=True)
class Held:
    """A record that somebody holds. ``tokens``: what its pointer commits to of its labels."""

    pointer: Pointer
    tokens: tuple[bytes, ...]


@dataclass
class Things:
    """Everything that has a name in a scenario.

    ``results``: what calls returned, and decisions on requests, by the names given behind ``as``.
    ``height``: of the newest block, as far as the player has said.
    """

    cast: Cast
    records: dict[str, Held] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    height: int = 0

    def make(self, act: Anchors, now: int) -> Held:
        """A record as its holder would describe it, taken before ``now``."""
        if act.record in self.records:
            raise NothingThere(f"there is a record {act.record!r} already")
        salt = sha256(f"salt of {act.record}".encode()).digest()[:16]
        end = now - act.taken
        labels = {above for label in act.labels for above in sensitivity_lineage(label)}
        tokens = self.label_key(act.subject).opening(labels, (), salt)
        content = f"the content of {act.record}".encode()
        held = Held(
            Pointer(
                holder=act.holder,
                subject=self.cast[act.subject].id,
                kind=act.kind,
                digest=record_digest(salt, content),
                size=len(content),
                media=MEDIA,
                start=end,
                end=end,
                confidentiality=act.level,
                type=commitment(salt, act.kind),
                labels=tokens_root(tokens),
                replaces=b"",
            ),
            tokens,
        )
        self.records[act.record] = held
        return held

    def label_key(self, label: str) -> LabelKey:
        """The key under which a patient's labels become tokens; raises `NotHere`."""
        return LabelKey(sha256(f"label key of {self.cast[label].id}".encode()).digest())

    def record(self, name: str) -> Held:
        """A record by its name in the scenario; raises `NothingThere`."""
        if name not in self.records:
            raise NothingThere(f"there is no record {name!r} yet")
        return self.records[name]

    def result(self, name: str) -> Any:
        """What was kept under a name, or a part of it: ``r1.id``; raises `NothingThere`."""
        first, *parts = name.split(".")
        if first not in self.results:
            raise NothingThere(f"nothing was kept as {first!r}")
        value = self.results[first]
        for part in parts:
            if not isinstance(value, Mapping) or part not in value:
                raise NothingThere(f"{first!r} has no {part!r}")
            value = value[part]
        return value

    def resolve(self, argument: Argument, now: int) -> Any:
        """The value to send; raises `NothingThere` and `NotHere`."""
        if isinstance(argument, Moment):
            return now + argument.offset
        if isinstance(argument, Person):
            return self.cast[argument.label].id
        if isinstance(argument, Listed):
            return [self.resolve(item, now) for item in argument.items]
        if isinstance(argument, Mapped):
            return {name: self.resolve(item, now) for name, item in argument.items}
        if isinstance(argument, Reference):
            if argument.kind == "month":
                return _month(argument, now)
            return self._refer(argument)
        return argument

    def resolve_all(self, arguments: Arguments, now: int) -> dict[str, Any]:
        return {name: self.resolve(value, now) for name, value in arguments}

    def _refer(self, reference: Reference) -> Any:
        if reference.kind == "token":
            if len(reference.arguments) != 2:
                raise NothingThere("token(…) takes a person and a label")
            person, label = reference.arguments
            return self.label_key(person).label(label)
        if len(reference.arguments) != 1:
            raise NothingThere(f"{reference.kind}(…) takes one name")
        return _REFERENCES[reference.kind](self, reference.arguments[0])


def _block(things: Things, text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise NothingThere("block(…) takes a number of blocks such as +10")
    return things.height + int(text)


def _month(reference: Reference, now: int) -> int:
    """The beginning, in China's time, of the month that a moment such as ``+8years`` falls in."""
    (text,) = reference.arguments if len(reference.arguments) == 1 else ("",)
    moment = scalar(text)
    if not isinstance(moment, Moment):
        raise NothingThere("month(…) takes a time such as +8years")
    day = datetime.fromtimestamp((now + moment.offset) / 1000, _CHINA)
    first = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return round(first.timestamp() * 1000)


def text_hash(text: str) -> bytes:
    """The hash that stands for a paper form or a document in a scenario (32 bytes)."""
    return sha256(text.encode()).digest()


_REFERENCES: Final[dict[str, Callable[[Things, str], Any]]] = {
    "record": lambda things, name: things.record(name).pointer.name().hex(),
    "name": lambda things, name: things.record(name).pointer.name(),
    "pointer": lambda things, name: things.record(name).pointer.value(),
    "labels": lambda things, name: list(things.record(name).tokens),
    "digest": lambda things, name: things.record(name).pointer.digest,
    "form": lambda _things, text: text_hash(text),
    "hash": lambda _things, text: text_hash(text),
    "hex": lambda _things, text: text_hash(text).hex(),
    "request": lambda things, name: things.result(f"{name}.id"),
    "result": lambda things, name: things.result(name),
    "key": lambda things, label: things.cast.account(label).id,
    "block": _block,
    "labelkey": lambda things, label: things.label_key(label).for_labels,
    "bytes": lambda _things, text: text.encode(),
}
