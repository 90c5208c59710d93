"""Who acts in a scenario: the founding people of the network, and those who are enrolled in it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from ledger.client.builder import Account
from ledger.crypto.keys import SigningKey
from ledger.node.setup.people import People


@dataclass(frozen=True, slots=True)
class Actor:
    """``label``: as the scenario says. ``id``: on the chain. ``account``: None without a key."""

    label: str
    id: str
    institution: str
    roles: tuple[str, ...]
    account: Account | None


class NotHere(ValueError):
    """Nobody has this label."""


class Cast:
    """Everybody by label.

    Args:
        people: of a network home whose keys are not sealed.
        seed: ids and keys of those who are enrolled follow from it.
    """

    def __init__(self, people: People, seed: str) -> None:
        self._seed = seed
        self._actors: dict[str, Actor] = {}
        self._unread: dict[str, Callable[[], SigningKey]] = {}
        for person in people:
            self._unread[person.key] = lambda one=person: people.signing_key(  # type: ignore[misc]
                one, _no_passphrase
            )
            self._actors[person.key] = Actor(
                person.key, person.id, person.institution, person.roles, None
            )

    def __contains__(self, label: str) -> bool:
        return label in self._actors

    def __iter__(self) -> Iterator[Actor]:
        return iter(self._actors.values())

    def __getitem__(self, label: str) -> Actor:
        """The actor with a label; raises `NotHere`."""
        actor = self._actors.get(label)
        if actor is None:
            near = difflib.get_close_matches(label, self._actors, n=1)
            raise NotHere(f"nobody is called {label!r}" + (f"; {near[0]}?" if near else ""))
        return actor

    def account(self, label: str) -> Account:
        """The key of somebody; raises `NotHere`, also for a person without a key."""
        actor = self[label]
        if actor.account is not None:
            return actor.account
        if label not in self._unread:
            raise NotHere(f"{label!r} has no key and signs nothing")
        return Account(self._unread[label]())

    def enrol(self, label: str, institution: str, roles: tuple[str, ...], keyed: bool) -> Actor:
        """Somebody new; raises `NotHere` when the label is taken."""
        if label in self._actors:
            raise NotHere(f"{label!r} is somebody already")
        secret = sha256(f"{self._seed}/{label}".encode()).digest()
        prefix = "p-" if "patient" in roles else "s-"
        actor = Actor(
            label,
            prefix + sha256(secret).hexdigest()[:32],
            institution,
            roles,
            Account(SigningKey(secret)) if keyed else None,
        )
        self._actors[label] = actor
        return actor

    def officer(self, institution: str) -> Actor:
        """The first records officer of an institution; raises `NotHere`."""
        for actor in self._actors.values():
            if actor.institution == institution and "records-officer" in actor.roles:
                return actor
        raise NotHere(f"{institution!r} has no records officer among its people")


def _no_passphrase() -> str:
    raise ValueError("a scenario is played with keys that are not sealed")
