"""What a change of contracts would have changed: past decisions, replayed under the new version.

Every block with a decision is executed once more on the state that it was put on, transaction by
transaction. Before a transaction that decided something, the same transaction is executed with the
change in force, and the two decisions are compared. That the replay without the change gives the
recorded results, byte for byte, is checked at the same time; where it does not, the report says so.

The report has a hash, over bytes that ``docs/protocol/impact.md`` defines, so that members can vote
on the same report. Memory is bounded by a block and by the number of decisions that are listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ledger.audit.proposed import Proposed
from ledger.chain.block import Block, Header
from ledger.chain.codec import decode_value, encode
from ledger.chain.constitution import Read, parameters_at
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.result import decode_result
from ledger.chain.transaction import Transaction, decode_transaction
from ledger.contracts.host import Overlay
from ledger.contracts.machine import BlockContext, Machine
from ledger.crypto import hashing

#: Version of the report's bytes.
FORMAT: Final = 1
#: Events by which a decision is known in the results of a block.
_DECIDED: Final = frozenset({"decided", "sealed"})
_ACCESS: Final = "access"
_FAILURE: Final = "failure"
MAX_NAMED: Final = 20

Progress = Callable[[int, int], None]


class History(Protocol):
    """What is read of a store; it may be written to meanwhile."""

    def base(self) -> int:
        """Height of the oldest block whose body is here."""

    def height(self) -> int:
        """Height of the newest block."""

    def header(self, height: int) -> Header | None: ...

    def block(self, height: int) -> Block | None: ...

    def results(self, height: int) -> tuple[bytes, ...] | None: ...

    def value(self, key: bytes, height: int | None = None) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was decided. ``expires``: block time in ms, 0 for a denial. Where the call failed the
    outcome is ``failure`` and the rule the code of its error."""

    outcome: str
    rule: str
    duties: tuple[str, ...] = ()
    expires: int = 0

    def value(self) -> list[Any]:
        return [self.outcome, self.rule, list(self.duties), self.expires]


@dataclass(frozen=True, slots=True)
class Flip:
    """A decision that would have been another one. ``kind``: what about it, see `kind_of`."""

    height: int
    time: int
    transaction: str
    call: int
    kind: str
    before: Judgement
    after: Judgement

    @property
    def decision(self) -> str:
        return f"{self.transaction}-{self.call}"


@dataclass(slots=True)
class Impact:
    """The report.

    ``replayed``: decisions compared. ``kinds``: how many of them flipped, by kind. ``rules``: by
    rule, how many decisions it took before and how many it would. ``failures``: how often the
    change itself could not have been carried out, by error. ``unproven``: heights of blocks whose
    replay without the change did not give the recorded results; the first of them. ``flips``: the
    first ones; ``digest`` covers all.
    """

    chain: bytes
    subject: dict[str, Any]
    since: int
    until: int
    replayed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rules: dict[str, list[int]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    unproven: list[int] = field(default_factory=list)
    exact: bool = True
    flips: list[Flip] = field(default_factory=list)
    digest: str = ""

    @property
    def contract(self) -> str:
        return str(self.subject["name"])

    @property
    def flipped(self) -> int:
        return self.kinds.total()

    def as_json(self) -> dict[str, Any]:
        return {
            "report": self.digest,
            "chain": self.chain.hex(),
            "change": self.subject,
            "since": self.since,
            "until": self.until,
            "decisions": self.replayed,
            "flipped": self.flipped,
            "kinds": dict(sorted(self.kinds.items())),
            "rules": {
                rule: {"before": before, "after": after}
                for rule, (before, after) in sorted(self.rules.items())
            },
            "exact": self.exact,
            "unproven": self.unproven,
            "failures": dict(sorted(self.failures.items())),
            "flips": [
                {
                    "decision": flip.decision,
                    "height": flip.height,
                    "time": flip.time,
                    "link": f"/v1/receipts/{flip.transaction}",
                    "kind": flip.kind,
                    "before": _judgement_json(flip.before),
                    "after": _judgement_json(flip.after),
                }
                for flip in self.flips
            ],
        }


def _judgement_json(judgement: Judgement) -> dict[str, Any]:
    return {
        "outcome": judgement.outcome,
        "rule": judgement.rule,
        "duties": list(judgement.duties),
        "expires": judgement.expires,
    }


def kind_of(before: Judgement, after: Judgement) -> str:
    """What differs between two judgements, the weightiest first; "" for nothing."""
    if before.outcome != after.outcome:
        return f"{before.outcome}-to-{after.outcome}"
    if before.rule != after.rule:
        return "other-rule"
    if before.duties != after.duties:
        return "other-duties"
    return "other-end" if before.expires != after.expires else ""


class _Digest:
    """The bytes of a report, hashed as they come."""

    def __init__(self, impact: Impact) -> None:
        self._hash = hashing.IMPACT.begin()
        self._add([FORMAT, impact.chain, impact.subject, impact.since, impact.until])

    def _add(self, value: Any) -> None:
        self._hash.update(encode(value))

    def flip(self, flip: Flip) -> None:
        transaction = bytes.fromhex(flip.transaction)
        place = [flip.height, transaction, flip.call, flip.kind]
        self._add([*place, flip.before.value(), flip.after.value()])

    def finish(self, impact: Impact) -> str:
        self._add([impact.replayed, impact.flipped, impact.exact])
        return str(self._hash.hexdigest())


def measure(
    store: History,
    proposed: Proposed,
    *,
    since: int = 1,
    until: int | None = None,
    listed: int = 1_000,
    progress: Progress | None = None,
    machine: Machine | None = None,
) -> Impact:
    """Replay the decisions of a chain under a change.

    Args:
        store: opened for reading; a node may go on writing to it.
        since: the first height. Blocks that are not here any more are left out: the report's
            ``since`` says from where on it speaks.
        until: the last height; without it that at which the change was proposed, or the newest.
        listed: how many flipped decisions are kept.

    Raises:
        StoreError: the store cannot be read.
        Malformed: it holds what no contract wrote.
    """
    head = store.height()
    last = min(head, until if until is not None else proposed.until or head)
    first = max(since, store.base(), 1)
    header = store.header(last)
    if header is None:
        raise LookupError(f"there is no block at height {last}")
    impact = Impact(header.chain, proposed.subject, first, last)
    replay = _Replay(store, proposed, impact, machine or Machine(), listed)
    for height in range(first, last + 1):
        replay.block(height)
        if progress is not None:
            progress(height - first + 1, last - first + 1)
    impact.digest = replay.digest.finish(impact)
    return impact


class _Replay:
    def __init__(
        self, store: History, proposed: Proposed, impact: Impact, machine: Machine, listed: int
    ) -> None:
        self._store = store
        self._proposed = proposed
        self._impact = impact
        self._machine = machine
        self._listed = listed
        self.digest = _Digest(impact)

    def block(self, height: int) -> None:
        results = self._store.results(height)
        if not results:
            return
        deciding = [place for place, raw in enumerate(results) if _decides(raw)]
        if not deciding:
            return
        block = self._store.block(height)
        if block is None:
            return
        state = _State(self._store, height - 1)
        context = BlockContext(block.header.chain, height, block.header.time)
        parameters = parameters_at(state.read, height)
        gas = parameters.call_gas, parameters.block_gas
        for place in range(deciding[-1] + 1):
            transaction = decode_transaction(block.transactions[place])
            after = None
            if place in deciding:
                after = self._changed(state.read, context, transaction, gas)
            execution = self._machine.execute(state.read, context, [transaction], *gas)
            if encode(execution.results[0]) != results[place]:
                self._impact.exact = False
                if len(self._impact.unproven) < MAX_NAMED and height not in self._impact.unproven:
                    self._impact.unproven.append(height)
            state.written.update(execution.writes)
            if after is not None:
                before = _judgements(state.read, transaction, execution.results[0].calls)
                self._compare(block.header, transaction, before, after)

    def _changed(
        self, read: Read, context: BlockContext, transaction: Transaction, gas: tuple[int, int]
    ) -> list[Judgement | None]:
        """What a transaction decides where the change holds."""
        instead = self._proposed.stand_in(read)
        overlay = Overlay(lambda key: instead[key] if key in instead else read(key))
        for call, kind in self._proposed.calls:
            result = self._machine.apply(overlay, context, call, kind, gas[0])
            if not result.ok:
                self._impact.failures[result.error] += 1
        execution = self._machine.execute(read, context, [transaction], *gas, overlay=overlay)
        return _judgements(overlay.get, transaction, execution.results[0].calls)

    def _compare(
        self,
        header: Header,
        transaction: Transaction,
        before: list[Judgement | None],
        after: list[Judgement | None],
    ) -> None:
        for call, (one, instead) in enumerate(zip(before, after, strict=True)):
            if one is None or one.outcome == _FAILURE:
                continue
            other = instead or Judgement(_FAILURE, "no_decision")
            self._impact.replayed += 1
            for place, judgement in enumerate((one, other)):
                self._impact.rules.setdefault(judgement.rule, [0, 0])[place] += 1
            kind = kind_of(one, other)
            if not kind:
                continue
            self._impact.kinds[kind] += 1
            flip = Flip(header.height, header.time, transaction.id.hex(), call, kind, one, other)
            self.digest.flip(flip)
            if len(self._impact.flips) < self._listed:
                self._impact.flips.append(flip)


class _State:
    """The state after a block, and what the next one has written to it so far."""

    def __init__(self, store: History, height: int) -> None:
        self._store = store
        self._height = height
        self._known: dict[bytes, bytes | None] = {}
        self.written: dict[bytes, bytes | None] = {}

    def read(self, key: bytes) -> bytes | None:
        if key in self.written:
            return self.written[key]
        if key not in self._known:
            self._known[key] = self._store.value(key, self._height)
        return self._known[key]


def _decides(raw: bytes) -> bool:
    return any(
        event.contract == _ACCESS and event.name in _DECIDED
        for call in decode_result(raw).calls
        for event in call.events
    )


def _judgements(
    read: Read, transaction: Transaction, calls: Sequence[Any]
) -> list[Judgement | None]:
    """What each call of a transaction decided; None for one that asked for no decision."""
    found: list[Judgement | None] = []
    for place, call in enumerate(calls):
        raw = read(f"{_ACCESS}/decisions/{transaction.id.hex()}-{place}".encode())
        if raw is not None:
            entry: Any = decode_value(raw, limit=MAX_STATE_VALUE_BYTES)
            duties = tuple(entry["obligations"])
            found.append(Judgement(entry["outcome"], entry["rule"], duties, entry["expires"]))
        elif not call.ok:
            found.append(Judgement(_FAILURE, call.error.partition(":")[0]))
        else:
            found.append(None)
    return found
