"""Whom a node is connected to, and what it tells them of its own accord."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ledger.node.metrics import Metrics
from ledger.node.neighbourhood import Neighbourhood
from ledger.node.net.frames import Frame, NewHead
from tests.support.founded import Chain

VALIDATOR, FOLLOWER = "east-1", "far-1"


class Surroundings:
    """Links that note what is asked of them."""

    def __init__(self, chain: Chain, node: str, members: tuple[str, ...]) -> None:
        self.sent: list[tuple[str, Frame]] = []
        self.dialled: list[set[str]] = []
        self.connected: list[str] = []
        self.metrics = Metrics()
        self.members = SimpleNamespace(
            nodes=members, kinds=lambda nodes: dict.fromkeys(sorted(nodes), "clinic")
        )
        settings = SimpleNamespace(peers={}, peer=SimpleNamespace(host="127.0.0.1", port=1))
        self.members.follow = lambda _written: False
        self.around: Neighbourhood = Neighbourhood(
            SimpleNamespace(node=node, settings=settings),  # type: ignore[arg-type]
            chain.replica,
            self.members,  # type: ignore[arg-type]
            SimpleNamespace(links=lambda _station: self, clock=lambda: 0),  # type: ignore[arg-type]
            on_frame=lambda _peer, _frame: None,
            on_lost=lambda _peer: None,
            connected=self.metrics.peers,
        )

    def send(self, node: str, frame: Frame) -> bool:
        self.sent.append((node, frame))
        return True

    def broadcast(self, frame: Frame, to: list[str]) -> None:
        self.sent += [(node, frame) for node in to]

    def peers(self) -> list[Any]:
        return list(self.connected)

    def configure(self, _addresses: object, dial: set[str]) -> None:
        self.dialled.append(dial)

    def recheck(self) -> None:
        """Nobody is on these links."""

    def meet(self, *peers: str) -> None:
        for peer in peers:
            self.connected.append(peer)
            self.around.met(peer)


@pytest.fixture
def validators(chain: Chain) -> tuple[str, ...]:
    return tuple(member.node for member in chain.replica.validators.members)


def test_a_validator_passes_transactions_to_the_others_connected_or_not(
    chain: Chain, validators: tuple[str, ...]
) -> None:
    scene = Surroundings(chain, VALIDATOR, validators)
    assert set(scene.around.upwards) == set(validators) - {VALIDATOR}


def test_a_follower_passes_transactions_to_those_above_it_that_are_connected(
    chain: Chain, validators: tuple[str, ...]
) -> None:
    scene = Surroundings(chain, FOLLOWER, (*validators, FOLLOWER, "further-1"))
    assert list(scene.around.upwards) == []
    scene.meet(validators[1], "further-1")
    assert list(scene.around.upwards) == [validators[1]]
    assert scene.around.below("further-1")
    assert not scene.around.below(validators[2])
    scene.connected.remove(validators[1])
    scene.around.lost(validators[1])
    assert list(scene.around.upwards) == []
    assert scene.metrics.registry.get_sample_value("ledger_peers_connected") == 1


def test_only_those_below_hear_of_a_final_block(chain: Chain, validators: tuple[str, ...]) -> None:
    scene = Surroundings(chain, VALIDATOR, (*validators, FOLLOWER))
    scene.meet(FOLLOWER, *(other for other in validators if other != VALIDATOR))
    head = chain.replica.head
    scene.around.announce(head)
    assert scene.sent == [(FOLLOWER, NewHead(head.height, head.hash()))]


async def test_a_node_that_lags_is_not_told_so_all_the_time(
    chain: Chain, validators: tuple[str, ...]
) -> None:
    scene = Surroundings(chain, VALIDATOR, validators)
    head = chain.replica.head
    told = NewHead(head.height, head.hash())
    scene.around.remind("north-1")
    scene.around.remind("north-1")
    scene.around.remind("west-1")
    assert scene.sent == [("north-1", told), ("west-1", told)]


async def test_connections_stay_as_they_are_while_the_members_do(
    chain: Chain, validators: tuple[str, ...]
) -> None:
    scene = Surroundings(chain, VALIDATOR, validators)
    scene.around.follow([b"consent/consents/1"])
    assert scene.dialled == []
    scene.members.follow = lambda written: b"governance/node_index" in written
    scene.around.follow([b"governance/node_index"])
    assert scene.dialled == [{other for other in validators if other > VALIDATOR}]
