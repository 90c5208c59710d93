"""Whether what clients were told fits what nodes hold: pure functions over what was recorded.

The chain is the order in which writes took effect. So linearizability need not be searched for, as
for a black box: a write takes effect at its place in the chain, which must lie between its
invocation and its acknowledgement; every answer must be the one that this order makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.lab.history import Operation


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a node's chain: hashes and transaction ids in hex."""

    height: int
    hash: str
    parent: str
    transactions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and where."""

    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"


Chain = Sequence[Block]
Place = tuple[int, int]


def check(operations: Sequence[Operation], chains: Mapping[str, Chain]) -> list[Violation]:
    """Everything that is wrong.

    Args:
        operations: of all clients, ended or not.
        chains: node → its blocks from height 0; all nodes have caught up.
    """
    found = [*one_history(chains)]
    for node, chain in chains.items():
        found += whole(node, chain)
        found += nothing_twice(node, chain)
        found += nothing_missing(operations, node, chain)
    longest = max(chains.values(), key=len)
    found += nothing_invented(operations, longest)
    found += in_real_time_order(operations, places(longest))
    found += answers_fit(operations, longest)
    found += never_going_back(operations)
    return found


def places(chain: Chain) -> dict[str, Place]:
    """Where each transaction stands: height and index."""
    return {
        transaction: (block.height, index)
        for block in chain
        for index, transaction in enumerate(block.transactions)
    }


def one_history(chains: Mapping[str, Chain]) -> Iterator[Violation]:
    """At no height do two nodes hold different blocks, and all are equally long."""
    held: dict[int, dict[str, list[str]]] = {}
    for node, chain in chains.items():
        for block in chain:
            held.setdefault(block.height, {}).setdefault(block.hash, []).append(node)
    for height, blocks in sorted(held.items()):
        if len(blocks) > 1:
            yield Violation("two histories", f"height {height}: {blocks}")
        missing = set(chains) - {node for nodes in blocks.values() for node in nodes}
        if missing:
            yield Violation("a chain that is shorter", f"height {height}: {sorted(missing)}")


def whole(node: str, chain: Chain) -> Iterator[Violation]:
    """Heights follow each other from 0, and each block names the one before as its parent."""
    for number, block in enumerate(chain):
        if block.height != number:
            yield Violation("a gap", f"{node}: {block.height} where {number} should be")
            return
        if number and block.parent != chain[number - 1].hash:
            yield Violation("a broken chain", f"{node}: parent of {number}")


def nothing_twice(node: str, chain: Chain) -> Iterator[Violation]:
    """No transaction stands in the chain twice."""
    counts = Counter(transaction for block in chain for transaction in block.transactions)
    for transaction, count in counts.items():
        if count > 1:
            yield Violation("a transaction twice", f"{node}: {transaction}, {count} times")


def nothing_missing(
    operations: Iterable[Operation], node: str, chain: Chain
) -> Iterator[Violation]:
    """Every acknowledged write stands where its client was told; refused ones nowhere."""
    found = places(chain)
    for each in operations:
        place = found.get(each.transaction)
        if each.kind == "read" or each.outcome not in ("ok", "refused"):
            continue
        if each.outcome == "refused":
            if place is not None:
                yield Violation("a refused write took effect", f"{node}: {each}")
        elif place is None:
            yield Violation("an acknowledged write is missing", f"{node}: {each}")
        elif place != (each.height, each.index):
            yield Violation("a write stands elsewhere", f"{node}: {each}, at {place}")


def nothing_invented(operations: Iterable[Operation], chain: Chain) -> Iterator[Violation]:
    """Nothing stands in the chain that no client sent."""
    sent = {each.transaction for each in operations}
    for transaction, place in places(chain).items():
        if transaction not in sent:
            yield Violation("a write that nobody sent", f"{transaction} at {place}")


def in_real_time_order(
    operations: Iterable[Operation], found: Mapping[str, Place]
) -> Iterator[Violation]:
    """What was acknowledged before something else was invoked stands before it."""
    in_chain = [each for each in operations if each.kind != "read" and each.transaction in found]
    latest: Operation | None = None
    for each in sorted(in_chain, key=lambda operation: found[operation.transaction]):
        if latest is not None and each.outcome == "ok" and each.completed < latest.invoked:
            yield Violation("acknowledged first, ordered later", f"{each} after {latest}")
        if latest is None or each.invoked > latest.invoked:
            latest = each


def answers_fit(operations: Sequence[Operation], chain: Chain) -> Iterator[Violation]:
    """Every answer is the one that the order of the chain makes.

    A write answers what it replaced, a token how often it was added (once), a read what the last
    write up to its height left.
    """
    by_id = {each.transaction: each for each in operations if each.transaction}
    registers: dict[str, list[tuple[int, str]]] = {}
    tokens: Counter[str] = Counter()
    for block in chain:
        for transaction in block.transactions:
            each = by_id.get(transaction)
            if each is None:
                continue
            expected: str | int
            if each.kind == "write":
                versions = registers.setdefault(each.key, [])
                expected = versions[-1][1] if versions else ""
                versions.append((block.height, each.value))
            else:
                tokens[each.key] += 1
                expected = tokens[each.key]
                if expected > 1:
                    yield Violation("a token was added twice", f"{each}")
            if each.outcome == "ok" and each.answer != expected:
                yield Violation("a wrong answer", f"{each}, expected {expected!r}")
    for each in operations:
        if each.kind != "read" or each.outcome != "ok":
            continue
        values = [value for height, value in registers.get(each.key, ()) if height <= each.height]
        expected = values[-1] if values else ""
        if each.answer != expected:
            yield Violation("a wrong read", f"{each}, expected {expected!r}")


def never_going_back(operations: Iterable[Operation]) -> Iterator[Violation]:
    """No node, once it answered from a height, later answers a read from a lower one."""
    events: list[tuple[float, int, Operation]] = []
    for each in operations:
        if each.outcome == "ok":
            events.append((each.completed, 0, each))
            if each.kind == "read":
                events.append((each.invoked, 1, each))
    reached: dict[str, int] = {}
    floors: dict[int, int] = {}
    for _, begins, each in sorted(events, key=lambda event: event[:2]):
        if begins:
            floors[id(each)] = reached.get(each.node, 0)
            continue
        if each.kind == "read" and each.height < floors[id(each)]:
            yield Violation("a node went back", f"{each}, was at {floors[id(each)]}")
        reached[each.node] = max(reached.get(each.node, 0), each.height)
