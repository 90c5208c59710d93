"""Random consents and requests: the contract decides as an independent small model does.

The model is written from docs/contracts/library.md and shares nothing with the contract: it keeps
whole declarations, and asks of each rule whether every one of its parts admits the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.tokens import LabelKey, tokens_root
from ledger.fhir import codes
from tests.support.contracts import DAY, PATIENT, START, World, name_of, pointer

PURPOSES = ["TREAT", "COC", "ETREAT", "BTG", "HRESCH", "CLINTRCH", "CLINTRCHPC", "HPAYMT"]
KEY, FOREIGN = LabelKey(b"k" * 32), LabelKey(b"f" * 32)
CODE = ("http://loinc.org", "2339-0")
#: By the root in the pointer: the labels, whether it has the code, under which key, the tokens.
LISTS = {
    tokens_root(tokens): (labels, coded, key, list(tokens))
    for labels in ((), ("SPI", "PSY"), ("HIV",))
    for coded in (True, False)
    for key in (KEY, FOREIGN)
    for tokens in [key.opening(labels, [CODE] if coded else [], b"s" * 16)]
}
ROOTS = list(LISTS)
RECORDS = [
    pointer(
        kind=kind,
        confidentiality=level,
        holder=holder,
        start=start,
        end=end,
        labels=ROOTS[(place + "NRV".index(level) * 5) % len(ROOTS)],
    )
    for place, (kind, holder, start, end) in enumerate(
        (
            ("laboratory", "city", START - 40 * DAY, START - 39 * DAY),
            ("note", "county", START - 20 * DAY, START - 1 * DAY),
            ("laboratory", "city", 0, 0),
            ("laboratory", "county", START - 20 * DAY, START - 1 * DAY),
        )
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


by_token = st.one_of(
    st.fixed_dictionaries(
        {"labels": st.just([KEY.label("SPI")]), "label_key": st.just(KEY.for_labels)},
        optional={"confidentiality": st.just("R"), "institutions": some(["city", "county"])},
    ),
    st.fixed_dictionaries(
        {"codes": st.just([KEY.code(*CODE)]), "label_key": st.just(KEY.for_codes)}
    ),
)


@st.composite
def scopes(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    if depth == 0 and draw(st.integers(0, 3)) == 0:
        return draw(by_token)
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


@st.composite
def excepting(draw: st.DrawFn) -> dict[str, Any]:
    """A scope with one or two exceptions."""
    exceptions = draw(st.lists(scopes(1), min_size=1, max_size=2))
    return {
        **draw(scopes()),
        "unless": [{**one, "purposes": one.get("purposes") or ["TREAT"]} for one in exceptions],
    }


class Model:
    """Deny-overrides over whole declarations."""

    def __init__(self) -> None:
        self.declared: list[Declared] = []

    def decide(
        self, who: str, record: dict[str, Any], purpose: str, time: int, shown: bool = False
    ) -> str:
        asked = (who, record, purpose, time, shown)
        effects = {
            one.effect
            for one in self.declared
            if not one.withdrawn
            and self._admits(one, *asked)
            and not any(
                self._admits(Declared("permit", exception), *asked)
                for exception in one.scope.get("unless", [])
            )
        }
        return "deny" if "deny" in effects else "permit" if effects else "none"

    @staticmethod
    def _admits(
        one: Declared, who: str, record: dict[str, Any], purpose: str, time: int, shown: bool
    ) -> bool:
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
        labels, coded, key, _ = LISTS[record["labels"]]
        known = shown and key == KEY
        for part, met in (("labels", "SPI" in labels), ("codes", coded)):
            if part in scope and not (known and met if permit else met or not known):
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
    st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(RECORDS),
    st.sampled_from(PURPOSES),
    st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), scopes()),
        st.tuples(st.just("deny"), scopes()),
        st.tuples(st.just("deny"), excepting()),
        st.tuples(st.just("withdraw"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 10)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(steps=steps, asked=st.lists(requests, min_size=1, max_size=6))
def test_the_contract_decides_as_the_model(
    steps: list[tuple[str, Any]], asked: list[tuple[str, dict[str, Any], str, bool]]
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
    for who, record, purpose, shown in asked:
        answer = world.asks(
            "consent", "decide",
            request={
                "subject": PATIENT, "requester": who, "roles": ROLES[who],
                "institution": PEOPLE[who], "purpose": purpose, "holder": record["holder"],
                "record": name_of(record).hex(), "kind": record["kind"],
                "confidentiality": record["confidentiality"],
                "data_start": record["start"], "data_end": record["end"],
                "labels": LISTS[record["labels"]][3] if shown else [],
            },
        )  # fmt: skip
        assert answer["effect"] == model.decide(who, record, purpose, world.time, shown)


@settings(max_examples=40, deadline=None)
@given(scope=st.one_of(scopes(), excepting()), asked=requests)
def test_adding_a_denial_never_opens_anything(
    scope: dict[str, Any], asked: tuple[str, dict[str, Any], str, bool]
) -> None:
    who, record, purpose, shown = asked
    labels = LISTS[record["labels"]][3] if shown else []
    world = World()
    world.does(f"{record['holder']}-1", "records", "anchor", pointer=record)
    world.does(
        PATIENT, "consent", "grant", id="p", subject=PATIENT,
        scope={"purposes": ["TREAT"], "confidentiality": "R"},
    )  # fmt: skip
    before = world.requests(who, record, purpose, labels=labels)["outcome"]
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope=scope)
    after = world.requests(who, record, purpose, labels=labels)["outcome"]
    assert (before, after) != ("deny", "permit")


@settings(max_examples=60, deadline=None)
@given(scope=st.one_of(scopes(), excepting()), asked=requests)
def test_showing_labels_only_ever_takes_a_request_out_of_denials(
    scope: dict[str, Any], asked: tuple[str, dict[str, Any], str, bool]
) -> None:
    """So a requester who shows them cannot lose by it, and one who hides them cannot gain."""
    who, record, purpose, _ = asked
    model = Model()
    model.declared = [
        Declared("permit", {"purposes": ["TREAT"], "confidentiality": "V"}),
        Declared("deny", scope),
    ]
    hidden, shown = (model.decide(who, record, purpose, START, show) for show in (False, True))
    assert hidden in (shown, "deny")


@settings(max_examples=30, deadline=None)
@given(scope=scopes(), other=scopes(), asked=requests)
def test_a_withdrawal_leaves_what_there_was_without_the_consent(
    scope: dict[str, Any], other: dict[str, Any], asked: tuple[str, dict[str, Any], str, bool]
) -> None:
    who, record, purpose, shown = asked
    labels = LISTS[record["labels"]][3] if shown else []
    world = World()
    world.does(f"{record['holder']}-1", "records", "anchor", pointer=record)
    world.does(
        PATIENT, "consent", "grant", id="p", subject=PATIENT,
        scope={**other, "purposes": other.get("purposes") or ["TREAT"]},
    )  # fmt: skip
    before = world.requests(who, record, purpose, labels=labels)
    world.does(PATIENT, "consent", "deny", id="d", subject=PATIENT, scope=scope)
    world.does(PATIENT, "consent", "withdraw", id="d")
    after = world.requests(who, record, purpose, labels=labels)
    assert (before["outcome"], before["rule"]) == (after["outcome"], after["rule"])
    assert world.asks("access", "decision", id=before["id"])["outcome"] == before["outcome"]
