"""The CAs of an institution overlap, and end at a height."""

from hashlib import sha256

import pytest

from tests.support.contracts import World


@pytest.fixture
def world() -> World:
    return World()


def name(pem: str) -> str:
    return sha256(pem.encode()).hexdigest()


def added(world: World, pem: str) -> str:
    named: str = world.does(
        "county-chief", "authorities", "add", institution="county", certificate=pem
    )
    return named


def counting(world: World) -> list[tuple[str, int, int]]:
    entries = world.asks("authorities", "of", institution="county")
    return [(entry["certificate"], entry["from"], entry["until"]) for entry in entries]


def test_founders_have_one_ca_from_the_first_block_on(world: World) -> None:
    assert counting(world) == [("CA of county", 1, 0)]


def test_a_second_ca_counts_beside_the_first_until_that_one_ends(world: World) -> None:
    assert added(world, "second") == name("second")
    since = world.height + 1
    ending = {"institution": "county", "authority": name("CA of county"), "at": world.height + 20}
    world.does("county-chief", "authorities", "remove", **ending)
    assert counting(world) == [("CA of county", 1, ending["at"]), ("second", since, 0)]
    world.height = int(ending["at"])
    assert counting(world) == [("second", since, 0)]


def test_the_last_ca_is_not_removed(world: World) -> None:
    ending = {"institution": "county", "authority": name("CA of county"), "at": 40}
    assert world.refuses("county-chief", "authorities", "remove", **ending) == "last_authority"
    added(world, "second")
    world.does("county-chief", "authorities", "remove", **ending)
    both = {**ending, "authority": name("second")}
    assert world.refuses("county-chief", "authorities", "remove", **both) == "last_authority"


def test_four_at_once_are_enough(world: World) -> None:
    for number in range(3):
        added(world, f"more {number}")
    more = {"institution": "county", "certificate": "a fifth"}
    assert world.refuses("county-chief", "authorities", "add", **more) == "too_many_authorities"


@pytest.mark.parametrize("who", ["chief", "county-clerk", "county-1", "he"])
def test_nobody_else_touches_the_cas_of_an_institution(world: World, who: str) -> None:
    codes = {"not_affiliated", "role_missing"}
    more = {"institution": "county", "certificate": "another"}
    assert world.refuses(who, "authorities", "add", **more) in codes
    ending = {"institution": "county", "authority": name("CA of county"), "at": 40}
    assert world.refuses(who, "authorities", "remove", **ending) in codes


@pytest.mark.parametrize(
    ("at", "code"), [(3, "too_late"), (1 << 40, "too_far"), (50, "unknown_authority")]
)
def test_a_removal_has_notice_and_names_a_ca(world: World, at: int, code: str) -> None:
    added(world, "second")
    ending = {"institution": "county", "authority": "00", "at": at}
    assert world.refuses("county-chief", "authorities", "remove", **ending) == code


def test_the_members_replace_the_ca_of_one_whose_governor_cannot(world: World) -> None:
    def voted(kind: str, payload: dict[str, object], at: int) -> None:
        number = world.does(
            "chief", "governance", "propose", kind=kind, payload=payload, activation=at
        )
        for chief in ("chief", "board-chief", "township-chief"):
            world.does(chief, "governance", "vote", proposal=number, approve=True)
        assert world.asks("governance", "proposal", number=number)["status"] == "passed"

    voted("add_authority", {"institution": "county", "certificate": "second"}, 20)
    voted("remove_authority", {"institution": "county", "authority": name("CA of county")}, 30)
    assert [(pem, until) for pem, _, until in counting(world)] == [
        ("CA of county", 30), ("second", 0),
    ]  # fmt: skip


def test_a_new_member_has_the_ca_that_it_was_voted_in_with(world: World) -> None:
    clinic = {"id": "clinic", "name": "Clinic", "name_zh": "", "kind": "township-centre",
              "county": "Ansai", "ca": "CA of clinic"}  # fmt: skip
    number = world.does(
        "chief", "governance", "propose", kind="add_institution",
        payload={"institution": clinic}, activation=20,
    )  # fmt: skip
    for chief in ("chief", "board-chief", "township-chief"):
        world.does(chief, "governance", "vote", proposal=number, approve=True)
    entries = world.asks("authorities", "of", institution="clinic")
    assert [entry["certificate"] for entry in entries] == ["CA of clinic"]
