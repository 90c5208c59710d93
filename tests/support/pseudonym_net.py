"""Validators and members that make pseudonyms, in one process: real contracts, homes and accounts.

The chain is a `World`; frames go from hand to hand, along the connections that a test allows, and
everything that was sent is kept for whoever wants to look at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ledger.chain.ceremonies import Board, Epoch, patients
from ledger.chain.evaluation import Reply
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.client.pseudonyms import Answers, Deriver
from ledger.node.net import frames
from ledger.node.pseudonyms.asker import Asker, Gathered
from ledger.node.pseudonyms.conduct import Conduct
from ledger.node.pseudonyms.evaluator import Evaluator, Moment
from ledger.node.pseudonyms.party import Party
from ledger.node.pseudonyms.safe import Safe
from ledger.node.pseudonyms.switch import Switch
from ledger.node.pseudonyms.usage import Usage
from tests.support.contracts import NODES, World, key_of

DOMAIN = patients(1)


class Member:
    """One node."""

    def __init__(self, net: Net, name: str) -> None:
        self.net = net
        self.name = name
        self.home = net.directory / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.keys = [key_of(name)]
        self.safe = Safe(self.home / "pseudonyms", lambda: self.keys, net.random)
        self.party = Party(name, self.safe, net.random)
        self.usage = Usage(self.home / "pseudonyms" / "usage.db")
        self.evaluator = Evaluator(
            name,
            net.world.chain,
            net.moment,
            self.quota,
            self.party,
            lambda: self.usage,
            net.random,
        )
        self.bends = lambda reply: reply
        self.jobs: list[asyncio.Task[None]] = []
        self.switch = Switch(
            name,
            self.send,
            lambda other: other in net.connected(name),
            lambda: net.above.get(name, ()),
            self.answer,
            self.spawn,
            lambda count: net.random(count),
        )
        self.asker = Asker(
            name, net.world.chain, lambda: self.keys[-1], net.moment, self.switch.ask, net.random,
            patience=2.0,
        )  # fmt: skip
        self.conduct = Conduct(
            name, net.world.chain, net.moment, lambda: net.seated, self.party,
            lambda: self.usage, self.perform, lambda: net.world.time,
        )  # fmt: skip

    def quota(self, institution: str, domain: str) -> int:
        return int(
            self.net.world.asks("pseudonyms", "quota", institution=institution, domain=domain)
        )

    def answer(self, raw: bytes) -> Reply | None:
        self.net.seen.append(raw)
        reply = self.evaluator.answer(raw)
        return None if reply is None else self.bends(reply)

    def send(self, to: str, frame: frames.Frame) -> bool:
        return self.net.deliver(self.name, to, frame)

    def spawn(self, job: Coroutine[None, None, None]) -> None:
        self.jobs.append(asyncio.ensure_future(job))

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        return self.net.perform(self.name, call)

    def next(self, number: int) -> Call | None:
        return self.party.next(self.net.board, number, self.net.world.time)


class Net:
    """The members of a consortium. ``lines``: who is connected with whom; everybody by default."""

    def __init__(
        self,
        directory: Path,
        world: World | None = None,
        others: Sequence[str] = (),
        lines: Sequence[tuple[str, str]] | None = None,
        above: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.directory = directory
        self.world = world or World()
        self.lines = lines
        self.above = above or {}
        self.seen: list[bytes] = []
        self._count = 0
        #: The validators, in their order.
        self.seated = list(NODES)
        self.members = {name: Member(self, name) for name in (*NODES, *others)}

    def random(self, count: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count, "big")

    def moment(self) -> Moment:
        """The newest block; what comes later does not change what is read of it."""
        return Moment(self.world.height, self.world.time, dict(self.world.state).get)

    @property
    def board(self) -> Board:
        return Board(self.world.state.get, self.world.chain)

    def connected(self, name: str) -> set[str]:
        if self.lines is None:
            return set(self.members) - {name}
        return {a if b == name else b for a, b in self.lines if name in (a, b)}

    def deliver(self, sender: str, to: str, frame: frames.Frame) -> bool:
        if to not in self.connected(sender):
            return False
        raw = frames.encode_frame(frame)
        self.seen.append(raw)
        switch = self.members[to].switch
        decoded = frames.decode_frame(raw[4:])
        loop = asyncio.get_running_loop()
        if isinstance(decoded, frames.Evaluate):
            loop.call_soon(switch.asked, sender, decoded)
        else:
            assert isinstance(decoded, frames.Evaluated)
            loop.call_soon(switch.arrived, sender, decoded)
        return True

    def perform(self, node: str, call: Call) -> tuple[int, CallResult]:
        result = self.world.call(node, call.contract, call.method, **call.arguments)
        self.world.later(1)
        return self.world.height, result

    # --- Keys ----------------------------------------------------------------------------------

    def open(self, domain: str = DOMAIN, by: str = "city-1") -> int:
        number: int = self.world.does(by, "pseudonyms", "open", domain=domain)
        return number

    def step(self, number: int, present: Sequence[str] = tuple(NODES)) -> bool:
        """Everybody present says what there is to say; whether anybody said anything."""
        spoke = False
        for name in present:
            call = self.members[name].next(number)
            if call is not None:
                _height, result = self.perform(name, call)
                assert result.ok, (name, call.method, result.error)
                spoke = True
        return spoke

    def play(self, domain: str = DOMAIN, present: Sequence[str] = tuple(NODES)) -> Epoch:
        """A ceremony from its beginning to its end; the silent are waited for."""
        number = self.open(domain, present[0])
        for _ in range(40):
            if self.board.ceremony(number)["stage"] in ("done", "failed"):
                break
            if not self.step(number, present):
                self.world.later(120_000)
        for member in self.members.values():
            member.party.tidy(self.board)
        epoch = self.board.epoch(domain)
        assert epoch is not None, self.board.ceremony(number)
        return epoch

    # --- Asking --------------------------------------------------------------------------------

    def deriver(self, name: str) -> Deriver:
        """What the command of a member works with; to be used from another thread than the loop."""
        loop = asyncio.get_running_loop()

        def ask(domain: str, elements: Sequence[bytes]) -> Answers:
            gathered = self.members[name].asker.gather(domain, elements)
            return answers_of(asyncio.run_coroutine_threadsafe(gathered, loop).result(30))

        return Deriver(self.board.epoch, ask)

    async def names(self, name: str, numbers: Sequence[str], generation: int = 1) -> list[str]:
        deriver = self.deriver(name)
        return await asyncio.to_thread(deriver.patients, numbers, generation)


def answers_of(found: Gathered) -> Answers:
    """As the HTTP interface shows them."""
    given: list[Any] = [
        {
            "index": index, "node": found.epoch.nodes[index],
            "elements": [point.hex() for point in answer.elements], "proof": answer.proof.hex(),
        }
        for index, answer in found.answers.items()
    ]  # fmt: skip
    return msgspec.convert(
        {
            "domain": found.epoch.domain, "epoch": found.epoch.number, "answers": given,
            "refusals": found.refusals, "cheats": list(found.cheats), "left": found.left,
        },
        Answers,
    )  # fmt: skip
