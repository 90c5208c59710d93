"""What stories expect: the command ``expect``, with a time within which it must come about."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Final

from ledger.sim.actors.catalogue import liars_of
from ledger.sim.client import Ticket
from ledger.sim.story import Stage, Unmet, ask, milliseconds, named
from ledger.sim.world import World

#: Whether something is so now; and if not, how things stand instead.
_Look = Callable[[], tuple[bool, str]]

_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    "≥": operator.ge,
    "≤": operator.le,
}


def expect(stage: Stage, words: Sequence[str]) -> None:
    """``expect WHAT … [within 30s]``; without a time it must be so already."""
    rest = list(words)
    limit = 0.0
    if "within" in rest:
        place = rest.index("within")
        limit = milliseconds(rest[place + 1])
        del rest[place : place + 2]
    what, *rest = rest
    if what not in EXPECTATIONS:
        raise ValueError(f"nothing called {what!r} can be expected")
    look = EXPECTATIONS[what](stage, rest)
    if limit:
        stage.world.run_until(lambda: look()[0], limit)
    met, stands = look()
    if not met:
        raise Unmet(f"not so: {stands}")


def _members(stage: Stage, words: Sequence[str]) -> list[str]:
    rest = [word for word in words if word != "on"]
    if rest in ([], ["all"]):
        return [member.name for member in stage.world.running]
    return named(stage, rest)


def _height(stage: Stage, words: Sequence[str]) -> _Look:
    """``height >= 12 on all``; ``height = same on all`` for one height and one block."""
    mark, number, *rest = words
    names = _members(stage, rest)
    heights = stage.world.heights

    def look() -> tuple[bool, str]:
        now = heights()
        well = all(_COMPARISONS[mark](now[name], int(number)) for name in names)
        return well, ", ".join(f"{name} at {now[name]}" for name in names)

    return look


def _base(stage: Stage, words: Sequence[str]) -> _Look:
    """``base = 0 on all``: of the oldest block that a node still has the body."""
    mark, number, *rest = words
    names = _members(stage, rest)

    def look() -> tuple[bool, str]:
        bases = {name: stage.world.node(name).store.base() for name in names}
        well = all(_COMPARISONS[mark](base, int(number)) for base in bases.values())
        return well, ", ".join(f"{name} from {base}" for name, base in bases.items())

    return look


def _same(stage: Stage, words: Sequence[str]) -> _Look:
    """``same block on all``."""
    names = _members(stage, words[1:])

    def look() -> tuple[bool, str]:
        heads = {stage.world.node(name).replica.head.hash() for name in names}
        return len(heads) == 1, ", ".join(f"{n} at {stage.world.heights()[n]}" for n in names)

    return look


def _growth(stage: Stage, words: Sequence[str]) -> _Look:
    """``blocks 3``: so many more than when the line was reached; ``no blocks`` is its contrary."""
    wanted = stage.world.checker.height + int(words[0])
    names = _members(stage, words[1:])

    def look() -> tuple[bool, str]:
        now = stage.world.heights()
        return all(now[name] >= wanted for name in names), f"{now}, wanted {wanted}"

    return look


def _standstill(stage: Stage, words: Sequence[str]) -> _Look:
    """``standstill for 20s``: no node gets a block in that time."""
    _for, duration = words
    before = stage.world.checker.height
    stage.world.run(milliseconds(duration))
    return lambda: (
        stage.world.checker.height == before,
        f"block {stage.world.checker.height} came after block {before}",
    )


def _final(stage: Stage, words: Sequence[str]) -> _Look:
    """``final NAME …``, or ``final all``."""
    names = list(stage.tickets) if list(words) == ["all"] else list(words)
    tickets = {name: stage.tickets[name] for name in names}

    def look() -> tuple[bool, str]:
        open_ = [name for name, ticket in tickets.items() if not _asked_again(stage, ticket)]
        return not open_, f"not final: {', '.join(open_)}"

    return look


def _asked_again(stage: Stage, ticket: Ticket) -> bool:
    """Whether a transaction is final; a client whose patience ended asks its node once more."""
    node = stage.world.nodes[ticket.node].node
    if ticket.height is None and node is not None:
        outcome = node.service.outcome(ticket.transaction.id)
        ticket.height = None if outcome is None else outcome[0]
    return ticket.final


def _pending(stage: Stage, words: Sequence[str]) -> _Look:
    """``pending NAME``: not final."""
    tickets = {name: stage.tickets[name] for name in words}
    return lambda: (
        not any(ticket.final for ticket in tickets.values()),
        f"final: {', '.join(name for name, one in tickets.items() if one.final)}",
    )


def _refused(stage: Stage, words: Sequence[str]) -> _Look:
    """``refused NAME [code]``: the node did not take it in."""
    name, *code = words
    ticket = stage.tickets[name]

    def look() -> tuple[bool, str]:
        answer = ticket.answer
        if answer is None:
            return False, "not answered"
        well = not answer.accepted and (not code or answer.code == code[0])
        return well, answer.code

    return look


def _reason(stage: Stage, words: Sequence[str]) -> _Look:
    """``reason A "Quorum lost"``: what the status of a node says contains these words."""
    (name,), text = named(stage, words[:1]), words[1]

    def look() -> tuple[bool, str]:
        reason = stage.world.status(name).reason
        return text in reason, reason

    return look


def _committing(stage: Stage, words: Sequence[str]) -> _Look:
    (name,) = named(stage, words)
    return lambda: (stage.world.status(name).committing, stage.world.status(name).reason)


def _stalled(stage: Stage, words: Sequence[str]) -> _Look:
    (name,) = named(stage, words)
    return lambda: (not stage.world.status(name).committing, stage.world.status(name).reason)


def _ready(stage: Stage, words: Sequence[str]) -> _Look:
    """``ready f1``: the nodes use their votes, or would if they had one."""
    names = named(stage, words)

    def look() -> tuple[bool, str]:
        waiting = [name for name in names if not stage.world.status(name).ready_to_vote]
        return not waiting, f"not ready to vote: {', '.join(waiting)}"

    return look


def _views(stage: Stage, words: Sequence[str]) -> _Look:
    """``views <= 1 on A``: how many views passed without a decision since that node started."""
    mark, number, *rest = words
    names = _members(stage, rest)

    def look() -> tuple[bool, str]:
        counts = {name: stage.world.status(name).view_changes for name in names}
        return all(_COMPARISONS[mark](n, int(number)) for n in counts.values()), f"{counts}"

    return look


def _running(stage: Stage, words: Sequence[str]) -> _Look:
    names = named(stage, words)
    return lambda: _state(stage.world, names, running=True)


def _down(stage: Stage, words: Sequence[str]) -> _Look:
    names = named(stage, words)
    return lambda: _state(stage.world, names, running=False)


def _state(world: World, names: Sequence[str], *, running: bool) -> tuple[bool, str]:
    members = [world.nodes[name] for name in names]
    stands = ", ".join(f"{m.name} {'runs' if m.running else m.ended or 'is down'}" for m in members)
    return all(member.running is running for member in members), stands


def _ended(stage: Stage, words: Sequence[str]) -> _Look:
    """``ended C "damaged"``: a node ended by itself, or did not start, with these words."""
    (name,), text = named(stage, words[:1]), words[1]
    member = stage.world.nodes[name]
    return lambda: (not member.running and text in member.ended, member.ended or "it runs")


def _named_liar(stage: Stage, words: Sequence[str]) -> _Look:
    """``accused D [equivocation]``: the chain holds a finding against a node."""
    (name,), kind = named(stage, words[:1]), words[1:]

    def look() -> tuple[bool, str]:
        found = ask(stage.world, "evidence", "listed", first=1, count=50)
        said = [(one["node"], one["rule"]) for one in found]
        return any(n == name and (not kind or k == kind[0]) for n, k in said), f"{said}"

    return look


def _told(stage: Stage, words: Sequence[str]) -> _Look:
    """``told D rush``: the liar has had occasion to tell that lie."""
    (name,), (lie,) = named(stage, words[:1]), words[1:]
    liar = liars_of(stage.world)[name]
    return lambda: (liar.told[lie] > 0, f"{dict(liar.told)}")


EXPECTATIONS: Final[dict[str, Callable[[Stage, Sequence[str]], _Look]]] = {
    "height": _height,
    "base": _base,
    "same": _same,
    "blocks": _growth,
    "standstill": _standstill,
    "final": _final,
    "pending": _pending,
    "refused": _refused,
    "reason": _reason,
    "committing": _committing,
    "stalled": _stalled,
    "ready": _ready,
    "views": _views,
    "running": _running,
    "down": _down,
    "ended": _ended,
    "accused": _named_liar,
    "told": _told,
}
