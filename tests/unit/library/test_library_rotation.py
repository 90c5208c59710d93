"""Signing keys of nodes change at a height, and stay known for ever."""

import random

import pytest

from ledger.chain.constitution import validators_at
from tests.support.contracts import NODES, World, key_of

CHIEFS = ["chief", "county-chief", "township-chief", "board-chief"]
CHIEF_OF = {"city-1": "chief", "county-1": "county-chief", "township-1": "township-chief",
            "board-1": "board-chief", "city-2": "chief"}  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


def hex_key(name: str) -> str:
    return key_of(name).public.hex()


def rotated(world: World, node: str, key: str, notice: int = 10) -> int:
    """Let the node's governor rotate its key; returns the height of the change."""
    at = world.height + 1 + notice
    world.does(
        CHIEF_OF[node], "governance", "rotate_key", node=node, key=hex_key(key), activation=at
    )
    return at


def voted(world: World, kind: str, payload: dict[str, object], notice: int = 20) -> int:
    """Propose and have three of four institutions approve; returns the height of the change."""
    at = world.height + 1 + notice
    number = world.does("chief", "governance", "propose", kind=kind, payload=payload, activation=at)
    for chief in CHIEFS[:3]:
        world.does(chief, "governance", "vote", proposal=number, approve=True)
    assert world.asks("governance", "proposal", number=number)["status"] == "passed"
    return at


def keys_at(world: World, height: int) -> dict[str, str]:
    members = validators_at(world.state.get, height).members
    return {member.node: member.key.hex() for member in members}


FIRST = {node: hex_key(node) for node in NODES}


def test_a_validator_keeps_its_seat_and_has_the_new_key_from_the_height_on(world: World) -> None:
    at = rotated(world, "county-1", "county-1b")
    assert keys_at(world, at - 1) == FIRST
    assert keys_at(world, at) == {**FIRST, "county-1": hex_key("county-1b")}
    assert list(keys_at(world, at)) == list(FIRST)


def test_both_keys_sign_transactions_until_the_height_and_then_the_new_one_alone(
    world: World,
) -> None:
    at = rotated(world, "county-1", "county-1b", notice=6)

    def anchor(signer: str, root: int) -> str:
        arguments = {"holder": "county", "root": bytes([root]) * 32, "size": 1}
        return world.call(signer, "records", "anchor_many", **arguments).error.split(":")[0]

    assert [anchor("county-1", 1), anchor("county-1b", 2)] == ["", ""]
    world.height = at - 1
    assert [anchor("county-1", 3), anchor("county-1b", 4)] == ["key_ended", ""]


def test_every_key_is_known_with_its_heights_for_ever(world: World) -> None:
    first = rotated(world, "county-1", "county-1b")
    world.height = first
    second = rotated(world, "county-1", "county-1c")
    world.height = second
    holder = {"node": "county-1", "institution": "county"}
    for key, since, until in (
        ("county-1", 0, first), ("county-1b", first, second), ("county-1c", second, 0),
    ):  # fmt: skip
        entry = world.asks("governance", "key_holder", key=hex_key(key))
        assert entry == {**holder, "from": since, "until": until}
    assert world.asks("governance", "key_holder", key=hex_key("stranger")) is None


def test_a_key_is_never_used_twice(world: World) -> None:
    world.height = rotated(world, "county-1", "county-1b")
    for key in ("county-1", "county-1b", "city-1", "he"):
        rotation = {"node": "county-1", "key": hex_key(key), "activation": world.height + 20}
        assert world.refuses("county-chief", "governance", "rotate_key", **rotation) == "key_exists"
    node = {"id": "county-2", "institution": "county", "role": "observer", "key": FIRST["county-1"]}
    proposal = {"kind": "add_node", "payload": node, "activation": world.height + 20}
    assert world.refuses("chief", "governance", "propose", **proposal) == "key_exists"


def test_one_rotation_of_a_node_waits_for_the_other(world: World) -> None:
    at = rotated(world, "county-1", "county-1b")
    again = {"node": "county-1", "key": hex_key("county-1c"), "activation": at + 5}
    assert world.refuses("county-chief", "governance", "rotate_key", **again) == "rotation_pending"


@pytest.mark.parametrize(
    ("who", "changes", "code"),
    [
        ("chief", {}, "not_affiliated"),
        ("county-clerk", {}, "role_missing"),
        ("county-1", {}, "role_missing"),
        ("county-chief", {"node": "nowhere"}, "unknown_node"),
        ("county-chief", {"key": "02" + "00" * 32}, "bad_key"),
        ("county-chief", {"activation": 2}, "too_late"),
        ("county-chief", {"activation": 1 << 40}, "too_far"),
    ],
)
def test_only_the_institutions_own_governor_rotates_and_with_notice(
    world: World, who: str, changes: dict[str, object], code: str
) -> None:
    rotation = {"node": "county-1", "key": hex_key("county-1b"), "activation": 20, **changes}
    assert world.refuses(who, "governance", "rotate_key", **rotation) == code


def test_the_members_can_vote_a_rotation_for_a_member_without_a_governor(world: World) -> None:
    at = voted(world, "rotate_key", {"id": "township-1", "key": hex_key("township-1b")})
    assert keys_at(world, at)["township-1"] == hex_key("township-1b")


def test_a_removed_node_leaves_its_key_behind(world: World) -> None:
    node = {"id": "city-2", "institution": "city", "role": "observer", "key": hex_key("city-2")}
    voted(world, "add_node", node)
    voted(world, "remove_node", {"id": "city-2"})
    entry = world.asks("governance", "key_holder", key=hex_key("city-2"))
    assert (entry["node"], entry["until"]) == ("city-2", world.height)


def test_a_vote_on_validators_before_a_decided_rotation_keeps_the_rotation(world: World) -> None:
    rotation = rotated(world, "county-1", "county-1b", notice=60)
    change = voted(world, "set_validators", {"nodes": list(reversed(NODES))})
    assert change < rotation
    assert list(keys_at(world, change)) == list(reversed(NODES))
    assert keys_at(world, change) == FIRST
    assert list(keys_at(world, rotation)) == list(reversed(NODES))
    assert keys_at(world, rotation)["county-1"] == hex_key("county-1b")


def test_an_observer_that_becomes_a_validator_votes_with_the_key_of_each_height(
    world: World,
) -> None:
    node = {"id": "city-2", "institution": "city", "role": "observer", "key": hex_key("city-2")}
    voted(world, "add_node", node)
    rotation = rotated(world, "city-2", "city-2b", notice=60)
    change = voted(world, "set_validators", {"nodes": [*NODES, "city-2"]})
    assert keys_at(world, change)["city-2"] == hex_key("city-2")
    assert keys_at(world, rotation - 1)["city-2"] == hex_key("city-2")
    assert keys_at(world, rotation)["city-2"] == hex_key("city-2b")


def test_no_more_changes_are_ahead_than_the_state_has_room_for(world: World) -> None:
    for number in range(16):
        node = {"id": f"city-{number + 2}", "institution": "city", "role": "observer",
                "key": hex_key(f"city-{number + 2}")}  # fmt: skip
        voted(world, "add_node", node)
    seats = [*NODES, *(f"city-{number + 2}" for number in range(16))]
    world.height = voted(world, "set_validators", {"nodes": seats})
    for number in range(16):
        rotation = {"node": f"city-{number + 2}", "key": hex_key(f"city-{number + 2}b"),
                    "activation": world.height + 100 + number}  # fmt: skip
        world.does("chief", "governance", "rotate_key", **rotation)
    late = {"node": "city-1", "key": hex_key("city-1b"), "activation": world.height + 200}
    assert world.refuses("chief", "governance", "rotate_key", **late) == "too_many_changes"
    world.height += 200
    world.does("chief", "governance", "rotate_key", **{**late, "activation": world.height + 20})


@pytest.mark.parametrize("seed", range(6))
def test_after_many_changes_every_height_has_the_seats_and_keys_decided_for_it(seed: int) -> None:
    """A model beside the contract: plain lists of who sits and which key each has from when."""
    rng = random.Random(seed)
    world = World()
    seats: list[tuple[int, list[str]]] = [(0, list(NODES))]
    keys: dict[str, list[tuple[int, str]]] = {node: [(0, FIRST[node])] for node in NODES}
    for turn in range(14):
        node = rng.choice(list(NODES))
        if rng.random() < 0.6 and keys[node][-1][0] <= world.height:
            name = f"{node}-{turn}"
            at = rotated(world, node, name, notice=rng.randint(2, 40))
            keys[node].append((at, hex_key(name)))
        elif seats[-1][0] <= world.height + 5:
            order = rng.sample(list(NODES), len(NODES))
            seats.append((voted(world, "set_validators", {"nodes": order}, 25), order))
        for height in range(world.height + 1, world.height + 50, 3):
            order = [nodes for since, nodes in seats if since <= height][-1]
            expected = {
                node: [key for since, key in keys[node] if since <= height][-1] for node in order
            }
            assert keys_at(world, height) == expected
            assert list(keys_at(world, height)) == order
        world.height += rng.randint(0, 30)
