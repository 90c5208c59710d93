"""What a validator does with a question: who asks, may it, has it asked too much, then evaluate.

Everything before the multiplication is cheap, and the signature is checked before anything is
charged to anybody. The order matters: a refusal tells an outsider nothing about a member.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import structlog

from ledger.chain import limits
from ledger.chain.ceremonies import Board
from ledger.chain.codec import Malformed, decode_value
from ledger.chain.evaluation import (
    WINDOW,
    Question,
    Reply,
    is_signed,
    read_question,
)
from ledger.chain.store import StoreError
from ledger.crypto.oprf import group, voprf
from ledger.crypto.oprf.group import Entropy
from ledger.node.pseudonyms.party import Party
from ledger.node.pseudonyms.safe import SafeUnusable
from ledger.node.pseudonyms.usage import DAY_MS, OverQuota, Repeated, Usage, UsageUnusable

_log = structlog.get_logger(__name__)

_DOMAIN: Final = re.compile(r"(?:patients|study)\.[A-Za-z0-9._-]{1,64}")

#: Why a question is refused.
REFUSALS: Final = (
    "malformed", "stale", "not_a_member", "no_share", "another_epoch", "not_allowed", "quota",
    "repeated", "busy", "unavailable",
)  # fmt: skip


class Moment(NamedTuple):
    """The newest block: height, time in milliseconds, and how to read the state after it."""

    height: int
    time: int
    read: Callable[[bytes], bytes | None]


class _Refusal(Exception):
    def __init__(self, code: str, left: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.left = left


class Evaluator:
    """Answers questions with this node's shares. `answer` may run on any thread.

    Args:
        node: this node's id.
        chain: 32 bytes.
        moment: the newest block.
        quota: how many elements a day an institution may ask about in a domain; the contract says.
        party: has the shares.
        usage: the accounts, opened at the first question.
    """

    def __init__(
        self,
        node: str,
        chain: bytes,
        moment: Callable[[], Moment],
        quota: Callable[[str, str], int],
        party: Party,
        usage: Callable[[], Usage],
        entropy: Entropy,
    ) -> None:
        self._node = node
        self._chain = chain
        self._moment = moment
        self._quota = quota
        self._party = party
        self._usage = usage
        self._entropy = entropy

    def answer(self, raw: bytes) -> Reply | None:
        """The reply to a question; None for bytes that are none, to which nobody can reply."""
        try:
            question = read_question(raw)
        except Malformed:
            return None
        digest = question.digest()
        try:
            return self._answered(question, digest)
        except _Refusal as refusal:
            code, left = refusal.code, refusal.left
        except (SafeUnusable, UsageUnusable, StoreError) as error:
            _log.error("evaluation_unavailable", error=str(error))
            code, left = "unavailable", 0
        return Reply(digest, self._node, (), b"", code, left)

    def _answered(self, question: Question, digest: bytes) -> Reply:
        moment = self._moment()
        if question.chain != self._chain or question.holder != self._node:
            raise _Refusal("malformed")
        if not _DOMAIN.fullmatch(question.domain):
            raise _Refusal("malformed")
        if not -WINDOW <= question.height - moment.height <= WINDOW:
            raise _Refusal("stale")
        institution = self._institution(question, moment)
        try:
            for point in question.elements:
                group.element(point)
        except group.NotOfGroup:
            raise _Refusal("malformed") from None
        board = Board(moment.read, self._chain)
        held = self._party.share(board, question.domain)
        if held is None:
            raise _Refusal("no_share")
        epoch, _index, share = held
        if epoch != question.epoch:
            raise _Refusal("another_epoch")
        quota = self._quota(institution, question.domain)
        if quota <= 0:
            raise _Refusal("not_allowed")
        try:
            left = self._usage().charge(
                digest, institution, question.domain, moment.time // DAY_MS, question.height,
                count=len(question.elements), quota=quota, window=WINDOW,
            )  # fmt: skip
        except OverQuota as over:
            _log.warning("evaluation_over_quota", institution=institution, asker=question.asker)
            raise _Refusal("quota", over.left) from None
        except Repeated:
            raise _Refusal("repeated") from None
        found = voprf.evaluate(share, group.base(share), question.elements, entropy=self._entropy)
        return Reply(digest, self._node, found.elements, found.proof, "", left)

    def _institution(self, question: Question, moment: Moment) -> str:
        """The institution of the node that asks; refuses unless its own key has signed."""
        if not is_signed(question):
            raise _Refusal("not_a_member")
        raw = moment.read(b"governance/node_keys/" + question.key.hex().encode())
        entry: Any = None
        if raw is not None:
            entry = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
        if entry is None or entry["node"] != question.asker:
            raise _Refusal("not_a_member")
        if entry["until"] != 0 and entry["until"] <= moment.height:
            raise _Refusal("not_a_member")
        return str(entry["institution"])
