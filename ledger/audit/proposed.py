"""A change of contracts as it would be if it held: what the machine would find, and do first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain.codec import decode_value, encode
from ledger.chain.constitution import Read
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.transaction import Call
from ledger.contracts.examination import examine
from ledger.contracts.versions import schedule_key, source_key, version_key
from ledger.crypto import hashing

#: Entries of the state that read otherwise, as they are at one height.
StandIn = Callable[[Read], dict[bytes, bytes]]

_WORDING: Final = ("add_contract", "change_contract")


class NotAChange(ValueError):
    """There is no such proposal, or the source is no contract."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """``subject``: what changes, as a value that everybody writes alike. ``until``: the height at
    which it was proposed, or None. ``calls``: what `carry_out` would do, each with its kind."""

    subject: dict[str, Any]
    until: int | None
    stand_in: StandIn
    calls: tuple[tuple[Call, str], ...] = ()

    @property
    def contract(self) -> str:
        return str(self.subject["name"])


def from_source(name: str, source: str, read: Read) -> Proposed:
    """A new wording that nobody has proposed yet.

    Raises:
        NotAChange: it is not a contract.
    """
    problems = examine(source)["problems"]
    if problems:
        first = problems[0]
        raise NotAChange(
            f"not a contract: {first['code']} in line {first['line']}; contract check says more"
        )
    kind = "add_contract" if read(schedule_key(name)) is None else "change_contract"
    return _wording(kind, name, source, {}, None)


def from_proposal(number: int, read: Read) -> Proposed:
    """A proposal on the chain.

    Raises:
        NotAChange: there is none of that number.
    """
    found = _value(read, f"charter/proposals/{number}".encode())
    if found is None:
        raise NotAChange(f"there is no proposal {number} about contracts")
    kind, change, opened = found["kind"], found["change"], int(found["opened"])
    name = change["name"]
    if kind in _WORDING:
        source = _value(read, source_key(change["source"]))
        return _wording(kind, name, source, change["arguments"], opened)
    subject = {"kind": kind, **change}
    if kind == "set_parameters_of":
        amendment = {"county": change["county"], "values": change["values"]}
        return Proposed(subject, opened, _as_it_is, ((Call(name, "amend", amendment), "export"),))
    if kind == "set_policies":
        asked = {"policies": change["policies"]}
        return Proposed(
            subject, opened, _as_it_is, ((Call(name, "set_policies", asked), "export"),)
        )
    if kind == "rollback":
        version = change["version"]

        def earlier(read: Read) -> dict[bytes, bytes]:
            known = _value(read, version_key(name, version))
            if known is None:  # there was no such version yet
                return {}
            return {schedule_key(name): _schedule(known["source"], version, "")}

        return Proposed(subject, opened, earlier)
    paused = change["instead"] if kind == "pause" else ""

    def as_paused(read: Read) -> dict[bytes, bytes]:
        schedule = _value(read, schedule_key(name))
        if schedule is None:
            return {}
        changed = [{**entry, "paused": paused} for entry in schedule]
        return {schedule_key(name): encode(changed)}

    return Proposed(subject, opened, as_paused)


def _wording(
    kind: str, name: str, source: str, arguments: dict[str, Any], until: int | None
) -> Proposed:
    identity = hashing.SOURCE(source.encode()).hex()
    facts = examine(source)
    calls: tuple[tuple[Call, str], ...] = ()
    if kind == "add_contract" and facts["init"]:
        calls = ((Call(name, facts["init"], arguments), "init"),)
    elif kind == "change_contract" and facts["methods"].get("migrate") == "export":
        calls = ((Call(name, "migrate", {}), "export"),)
    subject = {"kind": kind, "name": name, "source": identity}
    if kind == "add_contract":
        subject["arguments"] = arguments  # type: ignore[assignment]

    def worded(read: Read) -> dict[bytes, bytes]:
        known = _value(read, f"charter/version_count/{name}".encode())
        return {
            schedule_key(name): _schedule(identity, int(known or 0) + 1, ""),
            source_key(identity): encode(source),
        }

    return Proposed(subject, until, worded, calls)


def _as_it_is(_read: Read) -> dict[bytes, bytes]:
    return {}


def _schedule(source: str, version: int, paused: str) -> bytes:
    entry = {"from": 0, "version": version, "source": source, "paused": paused, "due": 0}
    return encode([entry])


def _value(read: Read, key: bytes) -> Any:
    raw = read(key)
    return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)
