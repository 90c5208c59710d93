"""Random consents and requests: the contract decides as an independent small model does.

The model is written from docs/contracts/library.md and shares nothing with the contract: it keeps
whole declarations, and asks of each rule whether every one of its parts admits the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.fhir import codes
from tests.support.contracts import DAY, PATIENT, START, World, name_of, pointer

PURPOSES = ["TREAT", "COC", "ETREAT", "BTG", "HRESCH", "CLINTRCH", "CLINTRCHPC", "HPAYMT"]
RECORDS = [
    pointer(kind=kind, confidentiality=level, holder=holder, start=start, end=end)
    for kind, holder, start, end in (
        ("laboratory", "city", START - 40 * DAY, START - 39 * DAY),
        ("note", "county", START - 20 * DAY, START - 1 * DAY),
        ("laboratory", "city", 0, 0),
    )
    for level in ("N", "R", "V")
]
PEOPLE = {"he": "city", "gao": "county", "wang": "township", "nurse": "city", "payer": "fund"}
ROLES = {
    "he": ["physician"], "gao": ["physician", "emergency-physician"], "wang": ["physician"],
    "nurse": ["nurse"], "payer": ["insurer"],
}  # fmt: skip
ORDER = "NRV"


@dataclass
class Declared:
    effect: str
    scope: dict[str, Any]
    withdrawn: bool = False


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=1, max_size=3)


def window(unit: int) -> st.SearchStrategy[tuple[int, int]]:
    starts = st.integers(-50, 5)
    return st.tuples(starts, st.integers(1, 45)).map(
        lambda pair: (START + pair[0] * unit, START + (pair[0] + pair[1]) * unit)
    )


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    parts: dict[str, st.SearchStrategy[Any]] = {
        "institutions": some(["city", "county", "township"]),
        "roles": some(["physician", "nurse", "emergency-physician"]),
        "persons": some(list(PEOPLE)),
        "kinds": some(["laboratory", "note"]),
        "holders": some(["city", "county"]),
        "records": some([name_of(record).hex() for record in RECORDS]),
        "confidentiality": st.sampled_from(ORDER),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), unique=True, max_size=3))
    scope = {part: draw(parts[part]) for part in chosen}
    if draw(st.booleans()):
        scope["purposes"] = draw(some(PURPOSES))
    if draw(st.integers(0, 3)) == 0:
        scope["start"], scope["end"] = draw(window(DAY))
    if draw(st.integers(0, 3)) == 0:
        scope["data_start"], scope["data_end"] = draw(window(DAY))
    return scope


class Model:
    """Deny-overrides over whole declarations."""

    def __init__(self) -> None:
        self.declared: list[Declared] = []

    def decide(self, who: str, record: dict[str, Any], purpose: str, time: int) -> str:
        effects = {
            one.effect
            for one in self.declared
            if not one.withdrawn and self._admits(one, who, record, purpose, time)
        }
        return "deny" if "deny" in effects else "permit" if effects else "none"

    @staticmethod
    def _admits(one: Declared, who: str, record: dict[str, Any], purpose: str, time: int) -> bool:
        scope, permit = one.scope, one.effect == "permit"
        said: dict[str, set[str]] = {
            "institutions": {PEOPLE[who]},
            "roles": set(ROLES[who]),
            "persons": {who},
            "kinds": {record["kind"]},
            "holders": {record["holder"]},
            "records": {name_of(record).hex()},
            "purposes": set(codes.purpose_lineage(purpose)),
        }
        if any(part in scope and not said[part] & set(scope[part]) for part in said):
            return False
        if not scope.get("start", time) <= time < scope.get("end", time + 1):
            return False
        rank = ORDER.index(record["confidentiality"])
        level = ORDER.index(scope.get("confidentiality", "N"))
        if (rank > level) if permit else (rank < level):
            return False
        if "data_start" not in scope:
            return True
        if (record["start"], record["end"]) == (0, 0):
            return not permit
        inside = [
            scope["data_start"] <= moment < scope["data_end"]
            for moment in (record["start"], record["end"])
        ]
        spans = record["start"] < scope["data_start"] and record["end"] >= scope["data_end"]
        return all(inside) if permit else any(inside) or spans


requests = st.tuples(
    st.sampled_from(sorted(PEOPLE)), st.sampled_from(RECORDS), st.sampled_from(PURPOSES)
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), scopes()),
        st.tuples(st.just("deny"), scopes()),
        st.tuples(st.just("withdraw"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 10)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(steps=steps, asked=st.lists(requests, min_size=1, max_size=6))
def test_the_contract_decides_as_the_model(
    steps: list[tuple[str, Any]], asked: list[tuple[str, dict[str, Any], str]]
) -> None:
    world, model = World(), Model()
    for step, detail in steps:
        if step == "wait":
            world.later(detail * DAY)
        elif step == "withdraw":
            if detail < len(model.declared) and not model.declared[detail].withdrawn:
                world.does(PATIENT, "consent", "withdraw", id=f"c{detail}")
                model.declared[detail].withdrawn = True
        else:
            scope = {**detail, "purposes": detail.get("purposes") or ["TREAT"]}
            scope = scope if step == "grant" else detail
            world.does(
                PATIENT, "consent", step, id=f"c{len(model.declared)}", subject=PATIENT,
                scope=scope,
            )  # fmt: skip
            model.declared.append(Declared("permit" if step == "grant" else "deny", scope))
    for who, record, purpose in asked:
        answer = world.asks(
            "consent", "decide",
            request={
                "subject": PATIENT, "requester": who, "roles": ROLES[who],
                "institution": PEOPLE[who], "purpose": purpose, "holder": record["holder"],
                "record": name_of(record).hex(), "kind": record["kind"],
                "confidentiality": record["confidentiality"],
                "data_start": record["start"], "data_end": record["end"],
            },
        )  # fmt: skip
        assert answer["effect"] == model.decide(who, record, purpose, world.time)


@settings(max_examples=40, deadline=None)
@given(scope=scopes(), asked=requests)
def test_adding_a_denial_never_opens_anything(
    scope: dict[str, Any], asked: tuple[str, dict[str, Any], str]
) -> None:
    who, record, purpose = asked
    world = World()
    world.does(f"{record['holder']}-1", "records", "anchor", pointer=record)
    world.does(
        PATIENT, "consent", "grant", id="p", subject=PATIENT,
        scope={"purposes": ["TREAT"], "confidentiality": "R"},
    )  # fmt: skip
    before = world.requests(who, record, purpose)["outcome"]
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope=scope)
    after = world.requests(who, record, purpose)["outcome"]
    assert (before, after) != ("deny", "permit")
