"""What is counted while a chain is read: a fold over its events that can be kept and gone on with.

Everything is counted by institution and by month of Chinese time, so that one reading of the chain
serves every grouping and every span of months.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from ledger.audit.indicators.happenings import Happening

CHINA: Final = timezone(timedelta(hours=8))


def month_of(time: int) -> str:
    """The month of Chinese time, such as ``2026-05``, of a time in ms since 1970 UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).astimezone(CHINA).strftime("%Y-%m")


@dataclass(slots=True)
class Item:
    """Something that lasts: a referral, an emergency, a contract.

    ``states``: since when it is in which state, and until when that holds, in ms; 0 for no end.
    """

    institution: str
    states: list[tuple[int, str, int]]

    @property
    def month(self) -> str:
        """The month in which it began."""
        return month_of(self.states[0][0])

    def at(self, time: int) -> tuple[str, int]:
        """The state at a time, and until when it holds; ("", 0) before it began."""
        for since, state, until in reversed(self.states):
            if since <= time:
                return state, until
        return "", 0


@dataclass(slots=True)
class Tally:
    """The counts so far.

    ``counts``: how often, by family, category, institution and month. ``times``: how often
    something took so many minutes, by family, institution, month and minutes. ``shares``: minutes,
    by family, person, institution and month. ``items``: by family and id.
    """

    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    times: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    shares: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    items: dict[tuple[str, str], Item] = field(default_factory=dict)

    def take(self, happening: Happening) -> None:
        """Count one event; most are about nothing that is counted."""
        handler = _HANDLERS.get((happening.contract, happening.name))
        if handler is not None:
            handler(self, happening)

    def count(self, family: str, category: str, institution: str, time: int) -> None:
        self.counts[family, category, institution, month_of(time)] += 1

    def begin(
        self, family: str, identity: str, institution: str, time: int, state: str, until: int = 0
    ) -> None:
        self.items[family, identity] = Item(institution, [(time, state, until)])

    def change(self, family: str, identity: str, time: int, state: str, until: int = 0) -> None:
        item = self.items.get((family, identity))
        if item is not None:
            item.states.append((time, state, until))


def _decided(tally: Tally, what: Happening) -> None:
    """A decision on a request; of one that another contract had made, only the event is known."""
    value = what.value if isinstance(what.value, dict) else {}
    request = what.fields["request"]
    if value.get("id") != request:
        if what.call.method != "unseal":
            outcome = what.fields.get("outcome", "permit")
            tally.count("requests", f"{_OUTCOMES[outcome]}, unknown", "", what.time)
            if outcome == "deny":
                tally.count("denials", "unknown", "", what.time)
        return
    outcome, institution = value["outcome"], value["institution"]
    category = f"{_OUTCOMES[outcome]}, {value['purpose']}"
    tally.count("requests", category, institution, what.time)
    if outcome != "permit":
        tally.count("denials", value["rule"], institution, what.time)


_OUTCOMES: Final = {"permit": "permitted", "deny": "denied"}


def _judged(tally: Tally, what: Happening) -> None:
    fields = what.fields
    category = "recognised" if fields["recognised"] else f"refused, {fields['code']}"
    tally.count("recognition", category, fields["institution"], what.time)


def _referred(tally: Tally, what: Happening) -> None:
    fields = what.fields
    until = what.call.arguments.get("until", 0)
    family = f"referrals {fields['direction']}"
    tally.begin(family, fields["referral"], fields["source"], what.time, "waiting", until)


def _referral_step(tally: Tally, what: Happening) -> None:
    """A step on the way of a referral; one that is closed is known by its outcome."""
    fields = what.fields
    family = f"referrals {fields['direction']}"
    item = tally.items.get((family, fields["referral"]))
    if item is not None:
        state = fields["outcome"] if what.name == "closed" else what.name
        until = item.states[0][2] if what.name in ("accepted", "arrived") else 0
        item.states.append((what.time, state, until))


def _read(tally: Tally, what: Happening) -> None:
    clinic, minutes = what.fields["clinic"], what.fields["minutes"]
    tally.count("readings", "late" if what.fields["late"] else "in time", clinic, what.time)
    tally.times["readings", clinic, month_of(what.time), minutes] += 1


def _critical(tally: Tally, what: Happening) -> None:
    fields = what.fields
    tally.begin(
        "critical values", fields["order"], fields["clinic"], what.time, "waiting", fields["due"]
    )


def _acknowledged(tally: Tally, what: Happening) -> None:
    state = "heard late" if what.fields["late"] else "heard in time"
    tally.change("critical values", what.fields["order"], what.time, state)


def _left_room(tally: Tally, what: Happening) -> None:
    fields = what.fields
    key = ("consultations", fields["expert"], fields["institution"], month_of(fields["joined"]))
    tally.shares[key] += fields["minutes"]


def _worked(tally: Tally, what: Happening) -> None:
    fields = what.fields
    key = ("service", fields["person"], fields["place"], month_of(fields["began"]))
    tally.shares[key] += fields["minutes"]


def _glass_broken(tally: Tally, what: Happening) -> None:
    fields = what.fields
    if fields["request"] == fields["emergency"]:
        tally.begin(
            "emergencies", fields["emergency"], fields["institution"], what.time, "waiting",
            fields["due"],
        )  # fmt: skip


def _reviewed(tally: Tally, what: Happening) -> None:
    state = "upheld" if what.fields["upheld"] else "abuse"
    tally.change("emergencies", what.fields["emergency"], what.time, state)


def _declared(tally: Tally, what: Happening) -> None:
    """A consent ends when the last of its rules does, and never if one has no end."""
    arguments = what.call.arguments
    rules = arguments.get("rules") or [arguments.get("scope", {})]
    ends = [rule.get("end", 0) or 0 for rule in rules if isinstance(rule, dict)]
    until = 0 if not ends or 0 in ends else max(ends)
    tally.begin("consents", what.fields["consent"], "", what.time, "in force", until)


def _withdrawn(tally: Tally, what: Happening) -> None:
    tally.change("consents", what.fields["consent"], what.time, "ended")


def _signed(tally: Tally, what: Happening) -> None:
    fields = what.fields
    tally.begin(
        "family doctors", fields["contract"], fields["institution"], what.time, "in force",
        fields["until"],
    )  # fmt: skip


def _renewed(tally: Tally, what: Happening) -> None:
    fields = what.fields
    tally.change("family doctors", fields["contract"], what.time, "in force", fields["until"])


def _contract_ended(tally: Tally, what: Happening) -> None:
    tally.change("family doctors", what.fields["contract"], what.time, "ended")


def _enrolled(tally: Tally, what: Happening) -> None:
    fields = what.fields
    identity = f"{fields['programme']} {fields['subject']}"
    tally.begin(
        "chronic care", identity, fields["institution"], what.time, "in force", fields["until"]
    )


def _left_programme(tally: Tally, what: Happening) -> None:
    identity = f"{what.fields['programme']} {what.fields['subject']}"
    tally.change("chronic care", identity, what.time, "ended")


def _followed_up(tally: Tally, what: Happening) -> None:
    category = "late" if what.fields["late"] else "in time"
    tally.count("follow-ups", category, what.fields["institution"], what.time)


def _joined(tally: Tally, what: Happening) -> None:
    fields = what.fields
    identity = f"{fields['subject']} {fields['study']}"
    tally.begin("cohorts", identity, "", what.time, "in force", fields["ends"])


def _left_study(tally: Tally, what: Happening) -> None:
    identity = f"{what.fields['subject']} {what.fields['study']}"
    tally.change("cohorts", identity, what.time, "ended")


def _reported(tally: Tally, what: Happening) -> None:
    category = "late" if what.fields["late"] else "in time"
    tally.count("reports", category, what.fields["source"], what.time)


def _settled(tally: Tally, what: Happening) -> None:
    tally.count("claims", what.fields["result"], what.fields["hospital"], what.time)


def _shared(tally: Tally, what: Happening) -> None:
    tally.count("departments", what.fields["basis"], what.fields["department"], what.time)


#: What is counted, by contract and event.
_HANDLERS: Final[dict[tuple[str, str], Callable[[Tally, Happening], Any]]] = {
    ("access", "decided"): _decided,
    ("access", "sealed"): _decided,
    ("recognition", "judged"): _judged,
    ("referral", "referred"): _referred,
    ("referral", "accepted"): _referral_step,
    ("referral", "arrived"): _referral_step,
    ("referral", "declined"): _referral_step,
    ("referral", "closed"): _referral_step,
    ("reading", "reported"): _read,
    ("reading", "critical_value"): _critical,
    ("reading", "acknowledged"): _acknowledged,
    ("consultation", "left"): _left_room,
    ("staff_work", "work_confirmed"): _worked,
    ("emergency", "glass_broken"): _glass_broken,
    ("emergency", "reviewed"): _reviewed,
    ("consent", "declared"): _declared,
    ("consent", "withdrawn"): _withdrawn,
    ("family_doctor", "signed"): _signed,
    ("family_doctor", "renewed"): _renewed,
    ("family_doctor", "ended"): _contract_ended,
    ("chronic", "enrolled"): _enrolled,
    ("chronic", "left"): _left_programme,
    ("chronic", "followed_up"): _followed_up,
    ("research", "joined"): _joined,
    ("research", "left"): _left_study,
    ("public_health", "reported"): _reported,
    ("insurance", "settled"): _settled,
    ("cross_sector", "shared_with_department"): _shared,
}
