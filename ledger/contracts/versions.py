"""Which version of a contract is in force at a height, as the contract ``charter`` wrote it down.

``charter/contracts/NAME`` is a schedule, ascending by ``from``: the version that is in force from
that height on, the hash of its source, and whether it is paused. The entry of a height is the last
one that has begun. ``charter/sources/HEX`` is the text of a source, ``charter/versions/NAME/N``
says which source version N has, also long after it was replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ledger.chain import limits
from ledger.chain.codec import Malformed
from ledger.contracts.compiler import InvalidContract, Program, compile_contract
from ledger.contracts.host import CHARTER, Run
from ledger.contracts.linenotes import LineNotes
from ledger.contracts.stack import fresh_stack
from ledger.contracts.values import unpack
from ledger.crypto import hashing

#: What others do in place of a contract that waits for its ``init`` or ``migrate``.
HELD: Final = "deny"

Get = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Installed:
    """A version of a contract that is in force from a height on.

    ``paused``: "", or what others do in its place meanwhile: "deny" or "skip".
    """

    program: Program
    version: int
    since: int
    paused: str

    @property
    def init(self) -> str | None:
        """The name of the method that founds the contract."""
        return self.program.init

    def kind(self, method: str) -> str | None:
        return self.program.kind(method)

    def enter(self, run: Run, method: str, arguments: dict[str, Any]) -> Any:
        return self.program.enter(run, method, arguments)


#: Marks a schedule that is not in the cache.
_UNKNOWN: Final[list[Installed | None]] = []


def schedule_key(name: str) -> bytes:
    """The key of a contract's schedule."""
    return f"{CHARTER}/contracts/{name}".encode()


def source_key(identity: str) -> bytes:
    """The key of a source, by the hex of its hash."""
    return f"{CHARTER}/sources/{identity}".encode()


def version_key(name: str, version: int) -> bytes:
    """The key of what is remembered about a version."""
    return f"{CHARTER}/versions/{name}/{version}".encode()


class Versions:
    """Finds contracts in a state. It keeps compiled programs between calls, and nothing else."""

    def __init__(self, cache_size: int = 256, notes: LineNotes | None = None) -> None:
        self._cache_size = cache_size
        self._notes = notes
        # By the bytes of the schedule, which change whenever the contract does.
        self._schedules: dict[bytes, list[Installed | None]] = {}
        self._keys: dict[str, bytes] = {}

    def find(self, get: Get, name: str, height: int) -> Installed | None:
        """The version in force at a height; None where there is no such contract.

        Raises:
            Malformed: the state holds what the charter did not write.
        """
        key = self._keys.get(name)
        if key is None:
            if not is_contract_name(name):
                return None
            key = schedule_key(name)
            if len(self._keys) < self._cache_size:
                self._keys[name] = key
        record = get(key)
        if record is None:
            return None
        schedule = self._schedules.get(record, _UNKNOWN)
        if schedule is _UNKNOWN:
            schedule = [self._installed(get, entry) for entry in unpack(record)]
            if len(self._schedules) >= self._cache_size:
                self._schedules.clear()
            self._schedules[record] = schedule
        if len(schedule) == 1:
            only = schedule[0]
            return only if only is not None and only.since <= height else None
        found = None
        for entry in schedule:
            if entry is None or entry.since <= height:
                found = entry
        return found

    def version(self, get: Get, name: str, version: int) -> Installed | None:
        """A version that is or was in force, whatever is paused; None where there is none.

        Raises:
            Malformed: as above.
        """
        record = get(version_key(name, version)) if is_contract_name(name) else None
        if record is None:
            return None
        fields = unpack(record)
        return self._installed(
            get,
            {
                "version": version, "from": fields["from"], "source": fields["source"],
                "paused": "", "due": 0,
            },
        )  # fmt: skip

    def compile(self, source: str) -> Program:
        """The program of a source.

        Raises:
            InvalidContract: with everything that is wrong.
        """
        notes = self._notes
        if notes is None:
            return _compiled(source)
        return fresh_stack(lambda: compile_contract(source, notes.of(source)))

    def _installed(self, get: Get, entry: dict[str, Any]) -> Installed | None:
        """Compile what an entry of a schedule names; None where that is not a contract."""
        source = get(source_key(entry["source"]))
        if source is None:
            raise Malformed("a contract whose source is not in the state")
        text = unpack(source)
        if hashing.SOURCE(text.encode()).hex() != entry["source"]:
            raise Malformed("a contract's source does not have the hash in its record")
        try:
            program = self.compile(text)
        except InvalidContract:
            return None
        paused = HELD if entry["due"] else entry["paused"]
        return Installed(program, entry["version"], entry["from"], paused)


@lru_cache(maxsize=256)
def _compiled(source: str) -> Program:
    """A program holds no state, so all machines of a process share it."""
    return fresh_stack(lambda: compile_contract(source))


def is_contract_name(name: str) -> bool:
    return (
        0 < len(name) <= limits.MAX_NAME_BYTES
        and name.isascii()
        and name.replace("_", "a").isalnum()
    )
