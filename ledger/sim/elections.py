"""Who may be validating, where random runs have the governors elect others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ledger.sim.client import Ticket


class Elections:
    """The sets of validators that are in force, were, or have been proposed.

    Of none of them more than f members may be hit for good: a proposal passes whenever its votes
    arrive, and what is hit stays hit.
    """

    def __init__(self, validators: Iterable[str]) -> None:
        self._sets = [frozenset(validators)]
        #: A proposal whose vote has not been held.
        self.ballot: Ticket | None = None

    def bears(self, hit: Collection[str]) -> bool:
        """Whether each set goes on with these of its members faulty."""
        return all(_bears(members, hit) for members in self._sets)

    def propose(self, members: Collection[str], hit: Collection[str]) -> bool:
        """Count one more set in, if it goes on with those faulty that are."""
        if not _bears(members, hit):
            return False
        self._sets.append(frozenset(members))
        return True


def _bears(members: Collection[str], hit: Collection[str]) -> bool:
    return 3 * len(set(members) & set(hit)) < len(members)
