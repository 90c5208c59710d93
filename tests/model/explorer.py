"""Visits every state that the relation can reach, and says what it found.

Two heights are explored one after the other: first everything that can happen at the first, then,
for each block that can be certified there, everything that can happen on top of it. No interleaving
is lost by that. What a validator does at the second height neither needs nor changes anything of
the first but the certificate that let it begin, and from then on it does nothing at the first any
more; so in any run the steps of the first height can be moved in front of all those of the second
without a difference to anybody. `explore_mixed` does without this argument and mixes the heights in
every order; it is for small numbers of views, where both must find the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tests.model.protocol import Action, Block, Disk, Rules, State, newest_view

S = TypeVar("S", bound=Hashable)
#: Blocks that can be made for one view of one height; the names of two views have to differ.
VARIANTS = 4


class Setting(NamedTuple):
    """Four validators unless said otherwise, the first ``liars`` places from ``liar`` on lie.

    ``variants``: how many different blocks a liar makes for one view.
    """

    views: int
    liar: int = 0
    liars: int = 1
    size: int = 4
    quorum: int = 3
    variants: int = 2
    show_the_lock: bool = True
    obey_the_lock: bool = True
    nothing_below: bool = True

    def rules(self, first: int = 0) -> Rules:
        """Those of a height at which the validator in place ``first`` proposes in view 0."""
        lying = {(self.liar + step) % self.size for step in range(self.liars)}
        return Rules(
            honest=self.size - self.liars,
            liars=self.liars,
            views=self.views,
            lying=frozenset(v for v in range(self.views) if (first + v) % self.size in lying),
            made_in=made_in,
            quorum=self.quorum,
            support=(self.size - 1) // 3 + 1,
            show_the_lock=self.show_the_lock,
            obey_the_lock=self.obey_the_lock,
            nothing_below=self.nothing_below,
        )

    def fresh(self, rules: Rules, view: int) -> list[Block]:
        """The blocks that can be made for a view: an honest proposer makes one."""
        made = self.variants if view in rules.lying else 1
        return [VARIANTS * view + variant for variant in range(made)]


def made_in(block: Block) -> int:
    """For which view a block was made."""
    assert isinstance(block, int)
    return block // VARIANTS


@dataclass
class Found:
    """``breach``: the broken promise, and the shortest run that breaks it, if there is one.

    ``outcomes``: the blocks that were certified in some state, at the last height looked at.
    """

    states: int = 0
    steps: int = 0
    breach: str | None = None
    run: tuple[Action, ...] = ()
    outcomes: set[Block] = field(default_factory=set)


def actions(setting: Setting, rules: Rules, state: State) -> Iterator[Action]:
    """Every action that is enabled."""
    newest = [newest_view(disk) for disk in state.disks]
    old: set[Block] = set()
    for view in range(rules.views):
        known = [*setting.fresh(rules, view), *old]
        proposed = known if view in rules.lying else [state.proposals[view]]
        wanted = [Action("propose", -1, view, block) for block in known]
        for node, at in enumerate(newest):
            page = state.disks[node][view]
            if page.prepared is not None:
                old.add(page.prepared)
            if view < at and rules.nothing_below:
                continue
            if page.prepared is None:
                wanted += [Action("prepare", node, view, block) for block in proposed]
            else:
                wanted.append(Action("commit", node, view))
            if not page.left:
                wanted.append(Action("leave", node, view))
        yield from (action for action in wanted if rules.enabled(state, action))


def explore(setting: Setting, first: int = 0) -> Found:
    """Everything that can happen at one height, until the first breach or the end."""
    rules = setting.rules(first)
    order: dict[Disk, int] = {}

    def following(state: State) -> Iterator[tuple[Action, State]]:
        for action in actions(setting, rules, state):
            after = rules.apply(state, action)
            yield action, after._replace(disks=_sorted(after.disks, order))

    return _search(rules.start, following, rules.breach, rules.certified)


def explore_heights(setting: Setting, heights: int = 2) -> Found:
    """Everything that can happen at so many heights, one after the other."""
    total, places, known = Found(), {0}, dict[int, Found]()
    for _ in range(heights):
        following: set[int] = set()
        total.outcomes.clear()
        for place in sorted(places):
            if place not in known:
                found = known[place] = explore(setting, place)
                total.states += found.states
                total.steps += found.steps
            if known[place].breach is not None:
                total.breach, total.run = known[place].breach, known[place].run
                return total
            total.outcomes |= known[place].outcomes
            following |= set(_successors(setting, place, known[place].outcomes))
        places = following
    return total


def _successors(setting: Setting, first: int, blocks: Iterable[Block]) -> Iterator[int]:
    """Who may propose first after these blocks: their proposer, or the next when its term is over.

    A height with the same proposers is the same height but for the name of the parent.
    """
    for block in blocks:
        for turn in (0, 1):
            yield (first + made_in(block) + turn) % setting.size


class Mixed(NamedTuple):
    """Two heights at once: every validator has a disk for either."""

    first: State
    second: State


def explore_mixed(setting: Setting, views: int) -> Found:
    """Two heights of one term, the second of so many views, their steps mixed in every order."""
    lower = setting.rules()
    above = setting._replace(views=views)
    order: dict[tuple[Disk, Disk], int] = {}

    def upper(state: Mixed) -> Rules | None:
        certified = lower.certified(state.first)
        return above.rules(max(map(made_in, certified))) if certified else None

    def following(state: Mixed) -> Iterator[tuple[Action, Mixed]]:
        rules = upper(state)
        moved_on = [disk != nothing for disk in state.second.disks]
        for action in actions(setting, lower, state.first):
            if action.node < 0 or not moved_on[action.node]:
                yield action, together(lower.apply(state.first, action), state.second)
        for action in actions(above, rules, state.second) if rules is not None else ():
            yield action, together(state.first, rules.apply(state.second, action))

    def together(first: State, second: State) -> Mixed:
        pairs = _sorted(tuple(zip(first.disks, second.disks, strict=True)), order)
        return Mixed(
            first._replace(disks=tuple(disk for disk, _ in pairs)),
            second._replace(disks=tuple(disk for _, disk in pairs)),
        )

    def breach(state: Mixed) -> str | None:
        rules = upper(state)
        return lower.breach(state.first) or (rules and rules.breach(state.second))

    def certified(state: Mixed) -> set[Block]:
        rules = upper(state)
        return rules.certified(state.second) if rules is not None else set()

    start = Mixed(lower.start, above.rules().start)
    nothing = start.second.disks[0]
    return _search(start, following, breach, certified)


def _search(
    start: S,
    following: Callable[[S], Iterator[tuple[Action, S]]],
    breach: Callable[[S], str | None],
    certified: Callable[[S], set[Block]],
) -> Found:
    """Breadth first, so that a breach is found by a shortest run."""
    found = Found()
    seen: dict[S, tuple[S, Action] | None] = {start: None}
    waiting = deque([start])
    while waiting and found.breach is None:
        state = waiting.popleft()
        for action, after in following(state):
            found.steps += 1
            if after in seen:
                continue
            seen[after] = state, action
            waiting.append(after)
            found.outcomes |= certified(after)
            found.breach = breach(after)
            if found.breach is not None:
                found.run = _way_to(after, seen)
                break
    found.states = len(seen)
    return found


def _way_to(state: S, seen: dict[S, tuple[S, Action] | None]) -> tuple[Action, ...]:
    """The actions that led there. Nodes are named by the place that they had at the moment."""
    way: list[Action] = []
    step = seen[state]
    while step is not None:
        state, action = step
        way.append(action)
        step = seen[state]
    return tuple(reversed(way))


def _sorted(disks: tuple[S, ...], order: dict[S, int]) -> tuple[S, ...]:
    """Honest validators are alike: of states that differ only in who is who, one is kept."""
    for disk in disks:
        order.setdefault(disk, len(order))
    return tuple(sorted(disks, key=order.__getitem__))
