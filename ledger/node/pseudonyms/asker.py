"""Asking t holders about blinded elements, and others in the place of those who fail or lie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from ledger.chain.ceremonies import Board, Epoch
from ledger.chain.codec import Malformed, encode
from ledger.chain.evaluation import MAX_ELEMENTS, NONCE_SIZE, Reply, ask, read_reply
from ledger.crypto.keys import SigningKey
from ledger.crypto.oprf import threshold
from ledger.crypto.oprf.voprf import Evaluation
from ledger.node.pseudonyms.evaluator import Moment

_log = structlog.get_logger(__name__)

#: How long a holder is waited for before another one is asked, in seconds.
PATIENCE_SECONDS: Final = 8.0


class NoKey(LookupError):
    """There is no key for that domain."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What holders answered to the same elements.

    ``answers``: index → a good answer. ``refusals``: node → why it gave none. ``cheats``: the nodes
    whose answers were false. ``left``: how many more elements may be asked about today, by the
    holder that allows least.
    """

    epoch: Epoch
    answers: dict[int, Evaluation]
    refusals: dict[str, str]
    cheats: tuple[str, ...]
    left: int

    @property
    def enough(self) -> bool:
        """Whether there are as many answers as it takes."""
        return len(self.answers) >= self.epoch.holders.threshold


class Asker:
    """Asks in the name of this node.

    Args:
        node: its id.
        chain: 32 bytes.
        key: the key that signs questions.
        moment: the newest block.
        send: takes a question to a holder; see `Switch.ask`.
        entropy: random bytes.
    """

    def __init__(
        self,
        node: str,
        chain: bytes,
        key: Callable[[], SigningKey],
        moment: Callable[[], Moment],
        send: Callable[[str, bytes, float], Awaitable[bytes | None]],
        entropy: Callable[[int], bytes],
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._node = node
        self._chain = chain
        self._key = key
        self._moment = moment
        self._send = send
        self._entropy = entropy
        self._patience = patience

    async def gather(self, domain: str, elements: Sequence[bytes]) -> Gathered:
        """As many good answers as it takes, or all that can be had.

        Args:
            elements: 1 to `MAX_ELEMENTS` that have passed `group.element`.

        Raises:
            NoKey: the domain has no key.
            ValueError: no elements, or too many.
        """
        if not 1 <= len(elements) <= MAX_ELEMENTS:
            raise ValueError(f"1 to {MAX_ELEMENTS} elements")
        moment = self._moment()
        epoch = Board(moment.read, self._chain).epoch(domain)
        if epoch is None:
            raise NoKey(domain)
        answers: dict[int, Evaluation] = {}
        refusals: dict[str, str] = {}
        cheats: list[str] = []
        lefts: list[int] = []
        waiting = self._order(epoch)
        while waiting and len(answers) < epoch.holders.threshold:
            wanted = epoch.holders.threshold - len(answers)
            now, waiting = waiting[:wanted], waiting[wanted:]
            replies = await asyncio.gather(
                *(self._asked(epoch, index, elements, moment.height) for index in now)
            )
            for index, reply in zip(now, replies, strict=True):
                node = epoch.nodes[index]
                if isinstance(reply, str):
                    refusals[node] = reply
                    continue
                answer = Evaluation(reply.elements, reply.proof)
                honest = await asyncio.to_thread(
                    threshold.honest, epoch.holders, index, answer, elements
                )
                if honest:
                    answers[index] = answer
                    lefts.append(reply.left)
                else:
                    cheats.append(node)
                    _log.warning("evaluation_false", holder=node, domain=domain)
        return Gathered(epoch, answers, refusals, tuple(cheats), min(lefts, default=0))

    def _order(self, epoch: Epoch) -> list[int]:
        """This node first, which costs no way; the others by chance, to share the work."""
        others = [index for index, node in epoch.nodes.items() if node != self._node]
        others.sort(key=lambda _: self._entropy(8))
        own = epoch.index(self._node)
        return others if own is None else [own, *others]

    async def _asked(
        self, epoch: Epoch, index: int, elements: Sequence[bytes], height: int
    ) -> Reply | str:
        """The reply of one holder, or why there is none."""
        holder = epoch.nodes[index]
        question = ask(
            self._key(),
            chain=self._chain,
            asker=self._node,
            holder=holder,
            domain=epoch.domain,
            epoch=epoch.number,
            height=height,
            nonce=self._entropy(NONCE_SIZE),
            elements=tuple(elements),
        )
        raw = await self._send(holder, encode(question), self._patience)
        if raw is None:
            return "unreachable"
        try:
            reply = read_reply(raw)
        except Malformed:
            return "malformed_reply"
        if reply.question != question.digest() or reply.holder != holder:
            return "malformed_reply"
        return reply.refusal or reply
