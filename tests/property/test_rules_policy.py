"""Votes under random rules, against a model in plain Python that shares nothing with `policy`."""

from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.codec import encode
from tests.support.contracts import World
from tests.support.contracts.amending import amend, amended

CHIEFS = {"city": "chief", "county": "county-chief", "township": "township-chief",
          "board": "board-chief"}  # fmt: skip
COUNTY = {"city": "Yan'an", "board": "Yan'an", "county": "Ansai", "township": "Zichang"}
KIND = {"city": "city-hospital", "county": "county-hospital", "township": "township-centre",
        "board": "commission"}  # fmt: skip
VOTERS = tuple(CHIEFS)

fractions = st.tuples(st.integers(0, 6), st.integers(1, 6)).filter(lambda pair: pair[0] <= pair[1])
paths = st.fixed_dictionaries({
    "share": fractions.map(list),
    "more": st.booleans(),
    "quorum": fractions.map(list),
    "kinds": st.lists(st.sampled_from(sorted(KIND.values())), max_size=2, unique=True),
    "counties": st.integers(0, 3),
})  # fmt: skip
rules = st.fixed_dictionaries({
    "weights": st.dictionaries(st.sampled_from(VOTERS), st.integers(0, 4)),
    "paths": st.lists(paths, min_size=1, max_size=3),
    "veto_counties": st.lists(st.sampled_from([*COUNTY.values(), "*"]), max_size=2, unique=True),
    "veto_share": fractions.map(list),
})  # fmt: skip
votes = st.lists(st.tuples(st.sampled_from(VOTERS), st.booleans()), max_size=12)


class Model:
    """The vote as the documentation describes it."""

    def __init__(self, rule: dict[str, Any]) -> None:
        self.rule = rule
        self.weight = {name: rule["weights"].get(name, 1) for name in VOTERS}
        self.total = sum(self.weight.values())
        self.sides: dict[str, bool] = {}
        self.status = "open"

    def _path(self, path: dict[str, Any], for_it: set[str], voted: int) -> bool:
        needed = Fraction(*path["share"]) * self.total
        weight = sum(self.weight[name] for name in for_it)
        enough = weight > needed if path["more"] else weight >= needed
        counties = 0
        others = [name for name in VOTERS if KIND[name] not in path["kinds"]]
        for county in {COUNTY[name] for name in others}:
            here = [name for name in others if COUNTY[name] == county]
            all_of_it = sum(self.weight[name] for name in here)
            counties += 2 * sum(self.weight[name] for name in here if name in for_it) > all_of_it
        return (
            enough
            and voted >= Fraction(*path["quorum"]) * self.total
            and set(path["kinds"]) <= {KIND[name] for name in for_it}
            and counties >= path["counties"]
        )

    def carried(self, for_it: set[str], voted: int) -> bool:
        return any(self._path(path, for_it, voted) for path in self.rule["paths"])

    def vetoed(self, against: set[str]) -> bool:
        for county in set(COUNTY.values()):
            if county not in self.rule["veto_counties"] and "*" not in self.rule["veto_counties"]:
                continue
            here = [name for name in VOTERS if COUNTY[name] == county]
            whole = sum(self.weight[name] for name in here)
            weight = sum(self.weight[name] for name in here if name in against)
            if whole and weight > Fraction(*self.rule["veto_share"]) * whole:
                return True
        return False

    def cast(self, name: str, approve: bool) -> str:
        self.sides[name] = approve
        yes = {name for name, side in self.sides.items() if side}
        no = set(self.sides) - yes
        voted = sum(self.weight[name] for name in self.sides)
        if self.vetoed(no) or not self.carried(set(VOTERS) - no, self.total):
            self.status = "rejected"
        elif self.carried(yes, voted) and not self.vetoed(set(VOTERS) - yes):
            self.status = "passed"
        return self.status

    def count(self) -> str:
        yes = {name for name, side in self.sides.items() if side}
        voted = sum(self.weight[name] for name in self.sides)
        self.status = "passed" if self.carried(yes, voted) else "expired"
        return self.status


def possible(rule: dict[str, Any]) -> bool:
    """Whether the contract accepts a rule: some vote could pass, and none without a vote."""
    for path in rule["paths"]:
        if path["more"] and path["share"][0] == path["share"][1]:
            return False
        if path["share"][0] == 0 and not path["more"] and not path["kinds"]:
            return False
    model = Model(rule)
    return model.carried(set(VOTERS), model.total)


def new_world() -> World:
    world = World()
    for name, county in COUNTY.items():
        key = f"governance/institutions/{name}"
        world.state[key.encode()] = encode({**world.entry(key), "county": county})
    return world


def opened(world: World) -> int:
    number: int = world.does(
        "chief", "charter", "propose", kind="set_parameters_of",
        payload={"name": "access", "county": "", "values": {"permit_hours": 12}},
        activation=world.height + 100, reason="trial", words="x",
    )  # fmt: skip
    return number


@settings(max_examples=120, deadline=None)
@given(rule=rules, later=rules, cast=votes, change_after=st.integers(0, 6))
def test_a_vote_is_decided_as_its_rule_said_when_it_opened(
    rule: dict[str, Any], later: dict[str, Any], cast: list[tuple[str, bool]], change_after: int
) -> None:
    world = new_world()
    if not possible(rule):
        assert not amend(world, "policy", parameters=rule).ok
        return
    amended(world, "policy", parameters=rule)
    number = opened(world)
    model = Model(rule)
    for turn, (name, approve) in enumerate(cast):
        if turn == change_after:
            # Neither another rule nor a member that moves or leaves changes a vote that is open.
            amend(world, "policy", parameters=later)
            key = b"governance/institutions/county"
            world.state[key] = encode({**world.entry(key.decode()), "county": "Zichang"})
        vote = {"proposal": number, "approve": approve}
        if model.status != "open":
            assert world.refuses(CHIEFS[name], "charter", "vote", **vote) == "proposal_closed"
            continue
        told = world.does(CHIEFS[name], "charter", "vote", **vote)
        assert told == model.cast(name, approve)
    ballot = world.asks("policy", "ballot", owner="charter", number=number)
    assert ballot["total"] == model.total
    assert {name for name, side in model.sides.items() if side} == set(ballot["approve"])
    if model.status == "open":
        assert world.refuses("he", "charter", "count", proposal=number) == "too_early"
        world.height = ballot["ends"]
        late = {"proposal": number, "approve": True}
        assert world.refuses("chief", "charter", "vote", **late) == "too_late"
        if ballot["ends"] == ballot["closes"]:
            assert world.does("he", "charter", "count", proposal=number) == "expired"
        else:
            assert world.does("he", "charter", "count", proposal=number) == model.count()
