"""Leads a random walk through the model by real cores, which have to write down the same.

Each honest validator is a real core. For an action of the model it is handed just the messages
that allow the action, made of what the cores have stored so far and of what the liar can sign, and
it has to store that vote, and nothing that the model does not allow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

from ledger.chain import limits
from ledger.chain.block import Block
from ledger.chain.codec import decode
from ledger.chain.vote import Vote
from ledger.consensus.effects import Effect
from ledger.consensus.inputs import Timer
from ledger.consensus.messages import (
    Message,
    NewView,
    Prepare,
    PrePrepare,
    ViewChange,
    highest_prepared,
    new_view,
)
from ledger.consensus.statements import Endorsement, PreparedCertificate
from tests.model.explorer import Setting, actions, made_in
from tests.model.protocol import Action, newest_view
from tests.support import voices
from tests.support.puppets import Puppets, sent, votes_of


class Walk:
    """Height 1 of four validators, where n1 proposes in view 0."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.random = random.Random(seed)
        self.setting = setting
        self.rules = setting.rules()
        self.state = self.rules.start
        self.order = [f"n{(1 + place) % setting.size}" for place in range(setting.size)]
        self.liar = self.order[setting.liar]
        self.honest = [name for name in self.order if name != self.liar]
        self.cores = {name: Puppets(name) for name in self.honest}
        self.stored: dict[str, list[Vote]] = {name: [] for name in self.honest}
        self.proposals: dict[int, PrePrepare | NewView] = {}
        for core in self.cores.values():
            core.begin()

    def step(self) -> bool:
        """Take one action that the model allows; whether there was one that can be acted out."""
        wanted = list(actions(self.setting, self.rules, self.state))
        self.random.shuffle(wanted)
        return any(self._act(action) for action in wanted)

    def _act(self, action: Action) -> bool:
        expected = [action]
        if action.kind == "propose":
            name = self.order[action.view]
            if not self._may_propose(name, action.view):
                return False
            # A proposer prepares its own block in the same breath.
            node = self.honest.index(name)
            expected.append(Action("prepare", node, action.view, action.block))
        else:
            name = self.honest[action.node]
            if action.kind == "prepare" and self.order[action.view] == name:
                return False
        done = {
            "propose": self._propose,
            "prepare": self._prepare,
            "commit": self._commit,
            "leave": self._leave,
        }[action.kind](name, action)
        if done is None:
            return False
        votes = [vote for vote in votes_of(done) if vote.phase != "prepared"]
        taken = [self._action(name, vote) for vote in votes]
        if action.kind == "propose" and not taken:
            return False  # the liar has told this core another story about the view before
        # What it was handed may let it go further at once; then the model has to allow that too.
        assert [each._replace(block=None) for each in taken[: len(expected)]] == [
            each._replace(block=None) for each in expected
        ], (expected, taken)
        for each in taken:
            assert self.rules.enabled(self.state, each), each
            self.state = self.rules.apply(self.state, each)
        self.stored[name] += votes
        for message in sent(done):
            if isinstance(message, PrePrepare | NewView):
                self.proposals[message.view] = message
        return True

    def _action(self, name: str, vote: Vote) -> Action:
        """The action of the model that a vote of a core is."""
        node = self.honest.index(name)
        if vote.phase == "view-change":
            return Action("leave", node, vote.view)
        if vote.phase == "commit":
            block = self.state.disks[node][vote.view].prepared
            assert self.block(block).header.hash() == vote.digest
            return Action("commit", node, vote.view)
        named = next(
            block
            for view in range(self.setting.views)
            for block in self.setting.fresh(self.rules, view)
            if self.block(block).header.hash() == vote.digest
        )
        if vote.phase == "pre-prepare":
            return Action("propose", -1, vote.view, named)
        return Action("prepare", node, vote.view, named)

    # What the cores are handed

    def block(self, named: object) -> Block:
        """The block that the model names by a number."""
        view = made_in(named)
        speaker = next(iter(self.cores.values()))
        return speaker.block(self.order[view % len(self.order)], view, f"{named}".encode())

    def _may_propose(self, name: str, view: int) -> bool:
        disk = self.state.disks[self.honest.index(name)]
        return newest_view(disk) == view and disk[view].prepared is None

    def _propose(self, name: str, action: Action) -> list[Effect] | None:
        core, view, block = self.cores[name], action.view, self.block(action.block)
        done: list[Effect] = []
        if view > 0:
            quorum = next(self._quorums(view, action.block, with_node=name), None)
            if quorum is None:
                return None
            done += core.give(*(change for change in quorum if change.node != name))
        if made_in(action.block) == view:
            done += core.built(block, view)
        else:
            done += core.checked(block)
        return done

    def _prepare(self, name: str, action: Action) -> list[Effect] | None:
        proposal = self._proposal(action.view, action.block)
        if proposal is None:
            return None
        core = self.cores[name]
        return [*core.give(proposal), *core.checked(self.block(action.block))]

    def _commit(self, name: str, action: Action) -> list[Effect]:
        block = self.state.disks[self.honest.index(name)][action.view].prepared
        return self.cores[name].give(
            *(vote for vote in self._prepares(action.view, block) if vote.node != name)
        )

    def _leave(self, name: str, action: Action) -> list[Effect] | None:
        core, view = self.cores[name], action.view
        at = core.status.view
        if view == at + 1:
            return core.fire(Timer.VIEW)
        others = [
            change
            for node in self.honest
            if node != name
            for change in self._changes_of(node)
            if change.view >= view
        ]
        if view <= at or not others:
            return None
        return core.give(voices.view_change(self.liar, 1, view), others[0])

    # What can be put together of what was stored

    def _changes_of(self, node: str) -> list[ViewChange]:
        return [
            decode(vote.message, ViewChange, limit=limits.MAX_FRAME_BYTES)
            for vote in self.stored[node]
            if vote.phase == "view-change"
        ]

    def _prepares(self, view: int, block: object) -> list[Prepare]:
        digest = self.block(block).header.hash()
        nodes = [
            node
            for node, disk in zip(self.honest, self.state.disks, strict=True)
            if disk[view].prepared == block
        ]
        return [voices.prepare(node, 1, view, digest) for node in [*nodes, self.liar]]

    def _lies(self, view: int) -> Iterator[ViewChange]:
        """Every VIEW-CHANGE to a view that the liar can sign and prove."""
        yield voices.view_change(self.liar, 1, view)
        for earlier in range(view):
            for block in self.rules.blocks(self.state, earlier):
                votes = sorted(self._prepares(earlier, block), key=lambda vote: vote.node)
                if len(votes) >= self.rules.quorum:
                    shown = tuple(Endorsement(vote.node, vote.signature) for vote in votes)
                    certificate = PreparedCertificate(
                        earlier, self.block(block).header.hash(), shown
                    )
                    yield voices.view_change(self.liar, 1, view, certificate, self.block(block))

    def _quorums(
        self, view: int, block: object, with_node: str | None = None
    ) -> Iterator[tuple[ViewChange, ...]]:
        """Quorums of VIEW-CHANGEs that oblige a proposer to a block, or allow it as a new one."""
        told = [
            self._with_block(change)
            for node in self.honest
            for change in self._changes_of(node)
            if change.view == view
        ]
        for lie in self._lies(view):
            for chosen in combinations([*told, lie], self.rules.quorum):
                highest = highest_prepared(chosen)
                obliged = None if highest is None else highest.digest
                fits = (
                    obliged == self.block(block).header.hash()
                    if obliged is not None
                    else made_in(block) == view
                )
                if fits and (with_node is None or with_node in {one.node for one in chosen}):
                    yield tuple(sorted(chosen, key=lambda change: change.node))

    def _with_block(self, change: ViewChange) -> ViewChange:
        if change.prepared is None:
            return change
        known = set().union(
            *(self.rules.blocks(self.state, view) for view in range(self.rules.views))
        )
        digest = change.prepared.digest
        block = next(
            candidate for candidate in map(self.block, known) if candidate.header.hash() == digest
        )
        return voices.view_change(change.node, 1, change.view, change.prepared, block)

    def _proposal(self, view: int, block: object) -> Message | None:
        if view not in self.rules.lying:
            return self.proposals.get(view)
        statement = voices.pre_prepare(self.liar, 1, view, self.block(block))
        if view == 0:
            return statement
        quorum = next(self._quorums(view, block), None)
        return None if quorum is None else new_view(statement, quorum)
