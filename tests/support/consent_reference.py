"""What a typed FHIR Consent says to a request, read from the resource itself.

Written from the text of R4 and docs/fhir-consents.md, without the importer and without the
contract: it walks the tree of provisions as it stands, and the innermost one that applies decides,
a denial before a permit. Labels are codes here, in clear. It knows resources of the kind that the
importer finds computable, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

PARENTS = {
    "COC": "TREAT", "CLINTRL": "TREAT", "POPHLTH": "TREAT", "CAREMGT": "HOPERAT",
    "CLINTRCH": "HRESCH", "FAMRQT": "PATRQT", "PWATRNY": "PATRQT",
}  # fmt: skip
EMERGENCIES = {"ETREAT", "BTG", "ERTREAT"}
WIDER = {
    "PSY": ("PSY", "SPI"),
    "SUD": ("SUD", "SPI"),
    "SPI": ("SPI",),
    "HIV": ("HIV",),
    "SEX": ("SEX",),
}
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
#: Resource types that share a class of records on the chain; all others here have one of their own.
CLASS_OF = {
    "MedicationRequest": "prescription", "MedicationDispense": "prescription",
    "Observation": "laboratory", "Composition": "note",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request. ``receivers``: references that stand for the requester or for whom she acts.
    ``labels``: None while they are not shown."""

    receivers: frozenset[str]
    purpose: str
    holder: str
    resource_type: str
    code: str
    level: str
    labels: frozenset[str] | None
    shown: bool
    start: int
    end: int
    now: int
    record: str = ""


def decide(consent: dict[str, Any], asked: Asked) -> str:
    """``permit``, ``deny`` or ``none``."""
    base = {"OPTIN": "permit", "OPTOUT": "deny"}[consent["policyRule"]["coding"][0]["code"]]
    root = consent.get("provision", {})
    nested = root.get("provision", [])
    opens = (
        base == "permit" and "type" not in root and any(one["type"] == "permit" for one in nested)
    )
    node = {**root, "type": root.get("type", base)}
    answer = _walk(node, {}, asked, _permits_emergency(node))
    if (
        opens
        and answer == "permit"
        and not any(_walk(one, root, asked, False) == "permit" for one in nested)
    ):
        return "none"
    return answer or "none"


def _merged(around: list[dict[str, str]], own: list[dict[str, str]]) -> list[dict[str, str]]:
    """Labels with those inherited: a level by a level, sensitivities by sensitivities."""
    systems = {(one["system"] == CONFIDENTIALITY) for one in own}
    return own + [one for one in around if (one["system"] == CONFIDENTIALITY) not in systems]


def _permits_emergency(node: dict[str, Any]) -> bool:
    purposes = {purpose["code"] for purpose in node.get("purpose", [])}
    own = node["type"] == "permit" and bool(purposes) and purposes <= EMERGENCIES
    return own or any(_permits_emergency(inner) for inner in node.get("provision", []))


def _walk(node: dict[str, Any], around: dict[str, Any], asked: Asked, spare: bool) -> str:
    """The effect of the innermost provision that applies, or nothing."""
    within = {**around, **{name: value for name, value in node.items() if name != "provision"}}
    if "actor" in around and "actor" in node:
        within["_actors"] = [*around.get("_actors", [around["actor"]]), node["actor"]]
    within["securityLabel"] = _merged(
        around.get("securityLabel", []), node.get("securityLabel", [])
    )
    if not _applies(within, asked, spare):
        return ""
    inner = {_walk(one, within, asked, spare) for one in node.get("provision", [])}
    for effect in ("deny", "permit"):
        if effect in inner:
            return effect
    if node["type"] == "permit" and not _assumed(within, asked):
        return ""
    return str(node["type"])


def _assumed(within: dict[str, Any], asked: Asked) -> bool:
    """Whether a permit covers what it does not say: treatment, and normal records."""
    if "purpose" not in within and not _covers(["TREAT"], asked.purpose):
        return False
    levels = [
        one["code"] for one in within.get("securityLabel", []) if one["system"] == CONFIDENTIALITY
    ]
    level = levels[0] if levels else "R" if within.get("securityLabel") else "N"
    return "NRV".index(asked.level) <= "NRV".index(level)


def _applies(within: dict[str, Any], asked: Asked, spare: bool) -> bool:
    permit = within["type"] == "permit"
    return (
        _in_period(within.get("period"), asked.now)
        and _for_purpose(within, asked, spare and not permit)
        and _with_actors(within, asked)
        and _of_kind(within, asked, permit)
        and _of_label(within, asked, permit)
        and _of_time(within.get("dataPeriod"), asked, permit)
        and (
            "data" not in within
            or asked.record in {one["reference"]["reference"] for one in within["data"]}
        )
    )


def _for_purpose(within: dict[str, Any], asked: Asked, spare: bool) -> bool:
    if "purpose" not in within:
        return not (spare and asked.purpose in EMERGENCIES)
    return _covers([purpose["code"] for purpose in within["purpose"]], asked.purpose)


def _covers(purposes: list[str], purpose: str) -> bool:
    while True:
        if purpose in purposes:
            return True
        if purpose not in PARENTS:
            return False
        purpose = PARENTS[purpose]


def _with_actors(within: dict[str, Any], asked: Asked) -> bool:
    for actors in within.get("_actors", [within.get("actor", [])]):
        by_role: dict[bool, set[str]] = {}
        for actor in actors:
            custodian = actor["role"]["coding"][0]["code"] == "CST"
            by_role.setdefault(custodian, set()).add(actor["reference"]["reference"])
        if True in by_role and asked.holder not in by_role[True]:
            return False
        if False in by_role and not asked.receivers & by_role[False]:
            return False
    return True


def _of_kind(within: dict[str, Any], asked: Asked, permit: bool) -> bool:
    types = {one["code"] for one in within.get("class", [])}
    if types:
        if CLASS_OF[asked.resource_type] not in {CLASS_OF[name] for name in types}:
            return False
        if not _known(asked.shown, asked.resource_type in types, permit):
            return False
    wanted = {one["code"] for concept in within.get("code", []) for one in concept["coding"]}
    return not wanted or _known(asked.shown, asked.code in wanted, permit)


def _known(shown: bool, true: bool, permit: bool) -> bool:
    """What is not shown is not permitted, and is denied."""
    return true if shown else not permit


def _of_label(within: dict[str, Any], asked: Asked, permit: bool) -> bool:
    wanted = {
        one["code"] for one in within.get("securityLabel", []) if one["system"] != CONFIDENTIALITY
    }
    borne = {wider for label in asked.labels or () for wider in WIDER[label]}
    return not wanted or _known(asked.shown, bool(wanted & borne), permit)


def _of_time(period: dict[str, str] | None, asked: Asked, permit: bool) -> bool:
    if period is None:
        return True
    start, end = _bounds(period)
    inside = start <= asked.start and asked.end < end
    return inside if permit else asked.start < end and start <= asked.end


def _in_period(period: dict[str, str] | None, now: int) -> bool:
    if period is None:
        return True
    start, end = _bounds(period)
    return start <= now < end


def _bounds(period: dict[str, str]) -> tuple[int, int]:
    """First millisecond, and the first one after it; a day without time zone is one of UTC."""

    def read(text: str, over: int) -> int:
        moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
        step = 1_000 if "T" in text else 86_400_000
        return int(moment.timestamp() * 1000) + over * step

    return (
        read(period["start"], 0) if "start" in period else 0,
        read(period["end"], 1) if "end" in period else 2**60,
    )
