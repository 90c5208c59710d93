"""How blocks reach the members that do not vote, at a cost to each validator that never grows.

Followers stand in a tree below the validators, in an order that every node reads off the chain:
each validator feeds `FAN_OUT` of them first-hand, each of those feeds `FAN_OUT` more, and so on. A
follower keeps connections to two nodes above it, so that one of them may fail unnoticed, and climbs
on along its list while those do not answer. What a node is fed is certified, so it matters little
who feeds it. The same ways in the other direction carry the followers' transactions to the
validators.

Connections always point up the order, so the ways have no circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: How many followers a node feeds as their first choice; as many again have it as their second.
FAN_OUT: Final = 4
#: To how many nodes above it a follower keeps a connection.
PATHS: Final = 2
#: How long a node above is given to answer before one further up is dialled too, in seconds.
PATIENCE_SECONDS: Final = 10.0
#: How long a node above that was connected while no block came does not count, in seconds.
BARREN_SECONDS: Final = 600.0
#: Kinds of institutions whose nodes feed others only when there is nobody else.
LEAVES: Final = frozenset({"township-centre", "village-station"})


def feeders(node: str, validators: Sequence[str], followers: Sequence[str]) -> tuple[str, ...]:
    """Who may feed a node, first choice first: two nodes right above it, then further and further
    up, then every validator.

    Args:
        node: one of the followers; a validator, or a node that neither list names, has all
            validators.
        validators: in proposer order.
        followers: in the order in which they are placed.
    """
    if node not in followers:
        return tuple(other for other in validators if other != node)
    place = followers.index(node)
    found: dict[str, None] = {}
    above = _above(place, validators, followers)
    while above in followers:
        parent = followers.index(above)
        found[above] = None
        found[_beside(parent, place, followers)] = None
        above = _above(parent, validators, followers)
    start = place % len(validators)
    found.update(dict.fromkeys((*validators[start:], *validators[:start])))
    return tuple(found)


def _above(place: int, validators: Sequence[str], followers: Sequence[str]) -> str:
    """Who feeds the follower at a place as its first choice."""
    first = len(validators) * FAN_OUT
    return (
        validators[place % len(validators)]
        if place < first
        else followers[(place - first) // FAN_OUT]
    )


def _beside(parent: int, place: int, followers: Sequence[str]) -> str:
    """The follower next to a parent that also stands before ``place``."""
    following = parent + 1
    return followers[following] if following < place else followers[max(parent - 1, 0)]


def placed(kinds: Mapping[str, str]) -> tuple[str, ...]:
    """The order in which followers are placed: as given, but township centres at the end.

    Those have the thinnest lines and are often behind a router that lets nobody in, so they should
    be leaves. ``kinds``: node id → kind of its institution, in the order in which nodes joined.
    """
    return tuple(sorted(kinds, key=lambda node: kinds[node] in LEAVES))


class Relay:
    """The ways of one node to those that feed it."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._validators: tuple[str, ...] = ()
        self._choices: tuple[str, ...] = ()
        self._elected = False
        #: Whether this node has to hear from every validator once: what they say when they are
        #: greeted tells a follower what it cannot have signed; see `Joining.follows`.
        self.curious = False
        self._greeted: set[str] = set()
        self._connected: set[str] = set()
        self._tried: dict[str, float] = {}
        # Until when a node above does not count, because no block came while it was connected.
        self._barren: dict[str, float] = {}
        # Validators that should have dialled this one, and did not.
        self._overdue: set[str] = set()

    def arrange(
        self, validators: Sequence[str], followers: Sequence[str], *, elected: bool = False
    ) -> None:
        """Take over who validates and who follows now.

        ``elected``: this node will validate. It then keeps connections to all validators, because
        it may vote only once it has heard from a quorum of them.
        """
        self._elected = elected
        if tuple(validators) != self._validators:
            self._overdue.clear()
        self._validators = tuple(validators)
        self._choices = feeders(self._node, validators, followers)

    def met(self, node: str) -> None:
        """A node is connected."""
        self._connected.add(node)
        self._greeted.add(node)
        self._tried.pop(node, None)

    def lost(self, node: str) -> None:
        """A node is no longer connected."""
        self._connected.discard(node)

    @property
    def validators(self) -> tuple[str, ...]:
        """Who validates, as last arranged."""
        return self._validators

    @property
    def choices(self) -> tuple[str, ...]:
        """Who may feed this node, first choice first."""
        return self._choices

    @property
    def sources(self) -> tuple[str, ...]:
        """Those of them that are connected."""
        return tuple(node for node in self._choices if node in self._connected)

    @property
    def fed(self) -> list[str]:
        """The connected nodes that may be fed by this one: neither validators nor above it."""
        others = {*self._validators, *self._choices}
        return sorted(self._connected - others)

    def starve(self, now: float) -> None:
        """No block has come for long: those that are connected do not feed this node.

        They may be faulty, all of them at once, and still be no more than the consortium bears. So
        others are dialled too; those that are connected stay so, for the fault may be elsewhere.
        """
        self._barren = {node: until for node, until in self._barren.items() if until > now}
        self._barren.update(dict.fromkeys(self.sources, now + BARREN_SECONDS))

    def dial(self, now: float) -> set[str]:
        """To whom to keep a connection, at a time in seconds that never goes back.

        A validator dials the validators after it by id, so that there is one dialler per pair, and
        those before it that leave it waiting: where it was away while the members gave its seat to
        another, nobody but itself knows that it waits. A follower dials the first choices that
        answer, or have not had the time to.
        """
        if self._node in self._validators:
            self._overdue |= {
                other
                for other in self._validators
                if other < self._node
                and other not in self._connected
                and now - self._tried.setdefault(other, now) >= PATIENCE_SECONDS
            }
            return {other for other in self._validators if other > self._node} | self._overdue
        if self._elected:
            return set(self._validators)
        chosen = set(self._validators) - self._greeted if self.curious else set()
        paths = 0
        for node in self._choices:
            if paths == PATHS:
                break
            chosen.add(node)
            if self._barren.get(node, now) > now:
                continue
            answers = node in self._connected
            if answers or now - self._tried.setdefault(node, now) < PATIENCE_SECONDS:
                paths += 1
        return chosen
