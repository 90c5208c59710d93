"""Playing a scenario on a backend, and seeing whether everything comes as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from ledger.chain.result import Event
from ledger.client.builder import Account, call
from ledger.scenario.backend import Backend, Outcome
from ledger.scenario.cast import Cast
from ledger.scenario.language import (
    Act,
    Anchors,
    AsksFor,
    Denies,
    Does,
    Enrols,
    Expected,
    ExpectsAnswer,
    ExpectsEvent,
    Gives,
    Has,
    Later,
    Permits,
    Refuses,
    Scenario,
    Step,
)
from ledger.scenario.resolving import Things, text_hash
from ledger.scenario.values import Arguments

#: An X25519 public key that nobody has: what a scenario shows is decided, not handed over.
_REPLY_KEY: Final = sha256(b"reply key of a scenario").digest()
#: How exactly an end is as expected, in milliseconds: blocks take time.
_LENIENCY: Final = 120_000


class Unmet(AssertionError):
    """Something that the scenario expects is not so. ``line`` counts from 1."""

    def __init__(self, scenario: str, step: Step, what: str) -> None:
        super().__init__(f"{scenario}, line {step.line}: {step.text}\n    {what}")
        self.line = step.line


@dataclass
class Played:
    """What was seen. The counters are by rule or code; ``left``: steps that were not played."""

    steps: int = 0
    permits: Counter[str] = field(default_factory=Counter)
    denies: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    contracts: set[str] = field(default_factory=set)
    waited: int = 0
    left: int = 0


#: Told of a step before it is played, and what came out of it afterwards (empty: as expected).
Watcher = Callable[[Step, str], None]


class Player:
    """Plays one scenario once.

    Args:
        scenario: as read and checked.
        backend: the consortium, running.
        cast: its people.
        watch: told of each step when it has been played, with what came out in a few words.
    """

    def __init__(
        self,
        scenario: Scenario,
        backend: Backend,
        cast: Cast,
        watch: Watcher = lambda _step, _what: None,
    ) -> None:
        self._scenario = scenario
        self._backend = backend
        self._things = Things(cast)
        self._cast = cast
        self._watch = watch
        self._events: tuple[Event, ...] = ()
        self.played = Played()

    def play(self) -> Played:
        """All steps in order, up to the first wait where the backend cannot let time pass.

        Raises:
            Unmet: something is not as the scenario says.
        """
        for number, step in enumerate(self._scenario.steps):
            if isinstance(step.act, Later) and not self._backend.later(step.act.duration):
                self.played.left = len(self._scenario.steps) - number
                break
            try:
                what = self._take(step.act)
            except _Otherwise as error:
                raise Unmet(self._scenario.name, step, str(error)) from None
            except ValueError as error:
                raise Unmet(self._scenario.name, step, f"cannot be played: {error}") from None
            self.played.steps += 1
            self._watch(step, what)
        return self.played

    def _take(self, act: Act) -> str:
        match act:
            case Later():
                self.played.waited += act.duration
                return ""
            case Anchors():
                return self._anchor(act)
            case Does():
                return self._do(act)
            case AsksFor():
                return self._request(act)
            case Enrols():
                return self._enrol(act)
            case ExpectsEvent():
                return self._event(act)
            case ExpectsAnswer():
                arguments = self._resolved(act.arguments)
                answer = self._backend.ask(act.contract, act.method, arguments)
                self._compare(act.expected, answer)
                return ""

    # --- steps ---------------------------------------------------------------------------------

    def _anchor(self, act: Anchors) -> str:
        officer = self._cast[act.officer] if act.officer else self._cast.officer(act.holder)
        held = self._things.make(act, self._backend.now)
        outcome = self._send(
            [officer.label], "records", "anchor", {"pointer": held.pointer.value()}
        )
        return self._judged(None, outcome)

    def _enrol(self, act: Enrols) -> str:
        actor = self._cast.enrol(act.label, act.institution, act.roles, act.with_key)
        keys = [actor.account.id] if actor.account is not None else []
        # A patient's key signs with the registrar, as the registry asks.
        hers = [act.label] if keys and list(act.roles) == ["patient"] else []
        outcome = self._send(
            [*act.signers, *hers],
            "registry",
            "enrol",
            {
                "id": actor.id,
                "institution": act.institution,
                "roles": list(act.roles),
                "keys": keys,
            },
        )
        return self._judged(act.expected, outcome)

    def _do(self, act: Does) -> str:
        arguments = self._resolved(act.arguments)
        outcome = self._send(act.signers, act.contract, act.method, arguments)
        if act.result and outcome.ok:
            self._things.results[act.result] = outcome.value
        return self._judged(act.expected, outcome)

    def _request(self, act: AsksFor) -> str:
        held = self._things.record(act.record)
        arguments: dict[str, Any] = {
            "pointer": held.pointer.value(),
            "proof": {},
            "institution": act.institution,
            "reply_key": _REPLY_KEY,
        }
        if act.emergency:
            note = text_hash(f"note on {act.record}")
            arguments |= {"reason": act.emergency, "note": note}
            outcome = self._send([act.person], "access", "break_glass", arguments)
        else:
            arguments["purpose"] = act.purpose
            if act.case:
                arguments["case"] = act.case
            if act.shows_labels:
                arguments["labels"] = list(held.tokens)
            outcome = self._send([act.person], "access", "request", arguments)
        if isinstance(act.expected, Refuses) or not outcome.ok:
            return self._judged(act.expected, outcome)
        if act.result:
            self._things.results[act.result] = outcome.value
        return self._decided(act.expected, outcome.value)

    def _event(self, act: ExpectsEvent) -> str:
        entries = self._resolved(act.entries)
        for event in self._events:
            if (event.contract, event.name) == (act.contract, act.name) and all(
                name in event.fields and event.fields[name] == value
                for name, value in entries.items()
            ):
                if act.told:
                    return ""
                raise _Otherwise(f"told all the same: {event.fields}")
        if act.told:
            told = "; ".join(f"{one.contract}.{one.name} {one.fields}" for one in self._events)
            raise _Otherwise(f"not told, but: {told or 'nothing'}")
        return ""

    # --- what comes out ------------------------------------------------------------------------

    def _send(
        self, signers: Sequence[str], contract: str, method: str, arguments: dict[str, Any]
    ) -> Outcome:
        accounts: list[Account] = [self._cast.account(label) for label in signers]
        institution = arguments.get("institution") or self._cast[signers[0]].institution
        outcome = self._backend.act(institution, accounts, call(contract, method, **arguments))
        self._events = outcome.events
        self.played.contracts.add(contract)
        return outcome

    def _judged(self, expected: Expected, outcome: Outcome) -> str:
        if isinstance(expected, Refuses):
            if outcome.ok:
                raise _Otherwise(f"not refused, but returned {outcome.value!r}")
            if outcome.code != expected.code:
                raise _Otherwise(f"refused otherwise: {outcome.error}")
            self.played.refusals[expected.code] += 1
            return outcome.error
        if not outcome.ok:
            raise _Otherwise(f"refused: {outcome.error}")
        self._compare(expected, outcome.value)
        return ""

    def _decided(self, expected: Expected, decision: dict[str, Any]) -> str:
        rule, outcome = str(decision["rule"]), decision["outcome"]
        seen = f"{outcome} {rule}"
        if isinstance(expected, Denies):
            if (outcome, rule) != ("deny", expected.rule):
                raise _Otherwise(f"{seen}, asked {decision['asked']}")
            self.played.denies[rule] += 1
            return seen
        assert isinstance(expected, Permits)
        if (outcome, rule) != ("permit", expected.rule):
            raise _Otherwise(f"{seen}, asked {decision['asked']}")
        duties = tuple(sorted(decision["obligations"]))
        if expected.duties is not None and duties != expected.duties:
            raise _Otherwise(f"{seen}, but with the duties {' '.join(duties) or 'none'}")
        if expected.until is not None:
            until = self._things.resolve(expected.until, self._backend.now)
            if abs(until - decision["expires"]) > _LENIENCY:
                away = (decision["expires"] - self._backend.now) / 3_600_000
                raise _Otherwise(f"{seen}, but until {away:.2f} hours from now")
        self.played.permits[rule] += 1
        return seen

    def _compare(self, expected: Expected, value: Any) -> None:
        if isinstance(expected, Gives):
            wanted = self._things.resolve(expected.value, self._backend.now)
            if type(wanted) is not type(value) or wanted != value:
                raise _Otherwise(f"it is {value!r}")
        elif isinstance(expected, Has):
            if not isinstance(value, dict):
                raise _Otherwise(f"it is {value!r}")
            for name, entry in self._resolved(expected.entries).items():
                if name not in value or value[name] != entry:
                    raise _Otherwise(f"{name} is {value.get(name)!r}, in {value!r}")

    def _resolved(self, arguments: Arguments) -> dict[str, Any]:
        self._things.height = self._backend.height
        return self._things.resolve_all(arguments, self._backend.now)


class _Otherwise(Exception):
    """What came instead."""
