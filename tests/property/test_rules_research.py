"""What the research contract decides about conditions, against the same said in plain Python."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.contracts.machine import BlockContext
from tests.support.contracts import DAY, PATIENT, START, World

DISEASES = ["a" * 64, "b" * 64]
INSTITUTIONS = ["uni", "county", "city"]
TEAM = [{"person": "scholar", "institution": "uni"}]

conditions = st.one_of(
    st.sampled_from(["NRES", "GRU", "HMB", "IRB", "NCU", "NPOA", "PUB", "RS:s", "RS:t"]),
    st.sampled_from(DISEASES).map("DS:{}".format),
    st.sampled_from(INSTITUTIONS).map("US:{}".format),
    st.sampled_from(INSTITUTIONS).map("COL:{}".format),
    st.integers(1, 20).map(lambda day: f"TS:{START + day * DAY}"),
)
uses = st.lists(st.lists(conditions, min_size=1, max_size=4), min_size=1, max_size=4)
studies = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["GRU", "HMB", "DS"]),
        "disease": st.sampled_from(DISEASES),
        "promises": st.lists(
            st.sampled_from(["non-commercial", "no-ancestry", "publishes"]), unique=True
        ),
        "partners": st.lists(st.sampled_from(INSTITUTIONS), unique=True),
    }
)


def met(condition: str, study: dict[str, Any], purpose: str, now: int) -> bool:
    code, _, value = condition.partition(":")
    promises = study["promises"]
    return {
        "NRES": True,
        "GRU": True,
        "IRB": True,
        "HMB": study["category"] != "GRU",
        "DS": study["category"] == "DS" and study["disease"] == value,
        "NCU": "non-commercial" in promises,
        "NPOA": "no-ancestry" in promises and purpose != "POARCH",
        "PUB": "publishes" in promises,
        "COL": value in study["partners"],
        "US": value == "uni",
        "RS": value == "s",
        "TS": code == "TS" and now < int(value),
    }[code]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(uses, studies, st.sampled_from(["HRESCH", "POARCH", "CLINTRCH"]), st.integers(0, 25))
def test_a_cohort_consent_permits_when_one_alternative_is_met_in_full(
    alternatives: list[list[str]], study: dict[str, Any], purpose: str, days: int
) -> None:
    world = World()
    terms = {**study, "kinds": ["laboratory"], "level": "N"}
    if study["category"] != "DS":
        terms["disease"] = ""
    world.does(
        "ethics", "research", "register", id="s", board="city", approval=bytes(32),
        ends=world.time + 90 * DAY, terms=terms, team=TEAM,
    )  # fmt: skip
    world.does(
        PATIENT, "research", "join", subject=PATIENT, study="s", uses=alternatives, level="N",
        ends=world.time + 40 * DAY,
    )  # fmt: skip
    consented = world.time + 40 * DAY
    world.later(days * DAY)
    facts = {
        "subject": PATIENT, "requester": "scholar", "roles": ["researcher"], "institution": "uni",
        "institution_kind": "university", "purpose": purpose, "branch": "HRESCH", "case": "s",
        "holder": "city", "record": "ab" * 32, "kind": "laboratory", "confidentiality": "N",
    }  # fmt: skip
    answer = world.machine.query(
        world.state.get, BlockContext(world.chain, world.height, world.time), "research", "decide",
        {"request": facts},
    ).value  # fmt: skip
    good = [
        alternative
        for alternative in alternatives
        if all(met(condition, terms, purpose, world.time) for condition in alternative)
    ]
    assert answer["effect"] == ("permit" if good else "limit")
    if good:
        limits = [int(part[3:]) for part in good[0] if part.startswith("TS:")]
        assert answer["until"] == min([consented, *limits])
