"""Why nothing is being committed, in one sentence, and the rest of a node's status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ledger.consensus.status import Status as CoreStatus
from ledger.node.answers import ValidatorStatus

#: A head older than this many empty-block intervals is a stall.
STALE_INTERVALS = 2.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the sentence is made of; times in milliseconds since 1970 UTC.

    ``sources``: the connected nodes that feed this one, if it is a follower.
    ``damage``: that the store is damaged, as a sentence, or empty.
    ``trouble``: what is wrong with this node itself, or empty. ``target``: the highest chain that
    a peer claims. ``clock_behind``: by how much this clock is behind the validators'; negative:
    ahead. ``clock_ahead``: how far ahead a block may be. ``missing_since``: when nodes that are not
    connected were last heard of. ``idle_interval``: the chain's empty-block interval. ``progress``:
    what is being fetched to catch up, where that takes long. ``withheld``: why this node does not
    use its vote, or empty. ``expired``: that this node's TLS certificate has run out, or empty.
    """

    now: int
    height: int
    block_time: int
    target: int
    trouble: str
    pending: int
    idle_interval: int
    validators: Sequence[str]
    quorum: int
    connected: Sequence[str]
    sources: Sequence[str]
    node: str
    core: CoreStatus | None
    progress: str = ""
    withheld: str = ""
    expired: str = ""
    damage: str = ""
    clock_behind: int = 0
    clock_ahead: int = 10_000
    missing_since: Mapping[str, int] = field(default_factory=dict)


def explain(situation: Situation) -> tuple[bool, str]:
    """Whether blocks are being made as far as this node can tell, and why not."""
    committing, reason = _explain(situation)
    return committing, f"{situation.damage} {reason}".strip()


def _explain(situation: Situation) -> tuple[bool, str]:
    if situation.trouble:
        return False, situation.trouble[0].upper() + situation.trouble[1:]
    if situation.target > situation.height + 1:
        behind = situation.target - situation.height
        how = f"; {situation.progress}" if situation.progress else ""
        return True, f"Catching up: {behind} blocks behind the highest peer{how}."
    clock = _clock_fault(situation)
    reachable = {*situation.connected, situation.node} & set(situation.validators)
    missing = sorted(set(situation.validators) - reachable)
    if len(reachable) < situation.quorum and situation.node in situation.validators:
        return False, (
            f"Quorum lost: {len(reachable)} of {len(situation.validators)} validators can be "
            f"reached and {situation.quorum} are needed; missing: {_absent(situation, missing)}."
            f"{_lapsed(situation)}"
        )
    sources = sorted({*reachable, *situation.sources})
    if not sources:
        text = "Cut off: none of the nodes that feed this one can be reached."
        return False, text + _lapsed(situation)
    age = situation.now - situation.block_time
    if situation.withheld:
        return age <= STALE_INTERVALS * situation.idle_interval, situation.withheld
    if age <= STALE_INTERVALS * situation.idle_interval and not _stuck(situation.core):
        return True, _well(situation, missing) + (f" {clock}" if clock else "")
    if clock:
        return False, clock
    if situation.core is None:
        return False, f"No block for {age // 1000} seconds; asking {', '.join(sources)}."
    return False, _stalled(situation, situation.core, age)


def _clock_fault(situation: Situation) -> str:
    """What is wrong with this node's clock, if it is off by so much that blocks suffer."""
    off = situation.clock_behind
    if 2 * abs(off) <= situation.clock_ahead:
        return ""
    where = "behind" if off > 0 else "ahead of"
    return (
        f"This node's clock is {abs(off) / 1000:.0f} seconds {where} the other validators' clocks; "
        "set it right, or it refuses good proposals and others refuse its own."
    )


def _absent(situation: Situation, nodes: Sequence[str]) -> str:
    """Nodes that are not connected, with how long that has been so."""

    def one(node: str) -> str:
        since = situation.missing_since.get(node)
        if since is None:
            return node
        return f"{node} (for {max(0, situation.now - since) // 1000} seconds)"

    return ", ".join(map(one, nodes))


def _lapsed(situation: Situation) -> str:
    return f" {situation.expired}" if situation.expired else ""


def _stuck(core: CoreStatus | None) -> bool:
    return core is not None and core.view > 0 and core.work_pending


def _well(situation: Situation, missing: Sequence[str]) -> str:
    work = (
        f"{situation.pending} transactions are waiting." if situation.pending else "Nothing to do."
    )
    absent = f" Not connected: {_absent(situation, missing)}." if missing else ""
    return f"Blocks are being made. {work}{absent}"


def _stalled(situation: Situation, core: CoreStatus, age: int) -> str:
    start = f"No block for {age // 1000} seconds. Height {core.height}, view {core.view}: "
    if core.refusal is not None:
        return start + f"this node refuses the proposal of {core.proposer}: {core.refusal}"
    silent = sorted(set(core.validators) - set(core.prepared) - {core.node})
    if core.proposal is None:
        changing = ", ".join(f"{node} to view {view}" for node, view in core.changing)
        gone = core.proposer != core.node and core.proposer not in situation.connected
        return start + (
            (
                f"the proposer {_absent(situation, [core.proposer])} is not connected"
                if gone
                else f"waiting for a proposal of {core.proposer}"
            )
            + (f"; changing: {changing}" if changing else "")
            + "."
        )
    if len(core.prepared) < core.quorum:
        return start + f"{len(core.prepared)} prepared; nothing from {', '.join(silent)}."
    late = sorted(set(core.validators) - set(core.committed))
    return start + f"{len(core.committed)} committed; nothing from {', '.join(late)}."


def validator_statuses(
    core: CoreStatus | None,
    institutions: Mapping[str, str],
    connected: Sequence[str],
    missing_since: Mapping[str, int],
    node: str,
) -> tuple[ValidatorStatus, ...]:
    """What each validator has done at the height that is being decided.

    ``institutions``: node id → institution, in proposer order.
    """
    changing = dict(core.changing) if core is not None else {}

    def voted(member: str) -> tuple[str, ...]:
        if core is None:
            return ()
        phases = (
            ("pre-prepare", core.proposal is not None and member == core.proposer),
            ("prepare", member in core.prepared),
            ("commit", member in core.committed),
            ("view-change", changing.get(member, 0) > core.view),
        )
        return tuple(name for name, has in phases if has)

    return tuple(
        ValidatorStatus(
            node=member,
            institution=institution,
            voted=voted(member),
            connected=member == node or member in connected,
            missing_since=missing_since.get(member),
        )
        for member, institution in institutions.items()
    )
