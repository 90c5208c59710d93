"""What a node answers to the people and systems that talk to it.

Plain immutable values, ready to be written as JSON. The HTTP layer knows them, and so does the node
that fills them in; neither knows how the other works. Times are milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from ledger.chain.codec import Malformed


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the answers; fields are named in the JSON as they are here."""


class NotPermitted(Exception):
    """The asker may not have what was asked for, or it does not exist: never say which."""


class TooOften(Exception):
    """The asker has asked too often, or too many ask at once. ``wait``: whole seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__("ask again later")
        self.wait = wait


class Submission(Answer, frozen=True, kw_only=True):
    """What a node thinks of one submitted transaction before it is ordered.

    ``id``: hex, or None where the bytes could not be read. ``code``: ``accepted``, ``known`` (it is
    waiting already) or ``final`` (it is in the chain already) where accepted; otherwise the reason
    for the refusal: ``malformed``, or one of `ledger.node.mempool.Admission`. ``detail``: the same
    for a person.
    """

    id: str | None
    accepted: bool
    code: str
    detail: str = ""


class Archived(Answer, frozen=True, kw_only=True):
    """What was asked for is older than what the node keeps.

    ``base``: the first height that it holds whole. ``file``: the archive file with the block, and
    ``archived``: when it was written; both None where the node never had the block. ``height``: of
    the block, so that whoever asked for a transaction learns that it is final.
    """

    base: int
    height: int
    file: str | None = None
    archived: int | None = None


_CURSOR = re.compile(r"(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})", re.ASCII)


#: No event of a block has a larger place or number.
MAX_PLACE = 999_999


class Cursor(NamedTuple):
    """The place of an event in the chain; events are delivered in this order.

    ``event`` counts over all calls of the transaction.
    """

    height: int
    transaction: int
    event: int

    def __str__(self) -> str:
        return f"{self.height}.{self.transaction}.{self.event}"


def parse_cursor(text: str) -> Cursor:
    """Read ``height.transaction.event``; raises `Malformed`."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Malformed("a cursor is height.transaction.event, three whole numbers")
    return Cursor(*map(int, match.groups()))


class LedgerEvent(Answer, frozen=True, kw_only=True):
    """One event of a final block. ``transaction``: hex id; ``call``: its place in it."""

    cursor: Cursor
    time: int
    transaction: str
    call: int
    contract: str
    name: str
    fields: dict[str, Any]


class ValidatorStatus(Answer, frozen=True, kw_only=True):
    """One validator as this node sees it at the height that is being decided.

    ``voted``: the phases it has voted in, in this view (``pre-prepare``, ``prepare``, ``commit``,
    ``view-change``). ``missing_since``: when it was last heard of, None while it is there.
    """

    node: str
    institution: str
    voted: tuple[str, ...] = ()
    connected: bool = False
    missing_since: int | None = None


class PeerStatus(Answer, frozen=True, kw_only=True):
    """One other node. ``height``: the last that it told us of."""

    node: str
    address: str
    connected: bool
    height: int | None = None
    since: int | None = None


class CertificateStatus(Answer, frozen=True, kw_only=True):
    """One certificate that this node depends on or has seen.

    ``kind``: ``node`` and ``authority`` are its own TLS certificate and its institution's CA,
    ``peer`` and ``member-authority`` those of others. ``what`` says the same for a person. ``node``
    is empty for a CA. ``days_left`` is negative once it ran out; ``soon``: replace it.
    """

    kind: str
    what: str
    institution: str
    node: str
    expires: int
    days_left: int
    soon: bool


class Expiry(Answer, frozen=True, kw_only=True):
    """The certificate that runs out next. ``what`` names it for a person."""

    what: str
    expires: int


class Divergence(Answer, frozen=True, kw_only=True):
    """Where this node and another came to different results for one block.

    ``peer``: the other node. ``transaction``: hex id, empty if it cannot be told; ``call``: its
    place in it. ``place``: ``contract:line`` of the statement here, or empty. ``what``: the state
    key, or the part of the result. ``ours``, ``theirs``: the values, for people.
    """

    height: int
    peer: str
    transaction: str
    call: int
    place: str
    what: str
    ours: str
    theirs: str
    sentence: str


class LiarStatus(Answer, frozen=True, kw_only=True):
    """A node that sent something false while this one was catching up, and which rule it breaks."""

    node: str
    what: str


class Status(Answer, frozen=True, kw_only=True):
    """How a node is, and why nothing is being committed if nothing is.

    ``role``: ``validator`` or ``observer``. ``height``: newest final block; view, phase and
    proposer are those of the next one. ``reason``: one sentence, never empty. ``clock_behind``: by
    how many milliseconds this node's clock is behind the validators' (negative: ahead).
    ``divergence``: the newest difference in execution that was found. ``liars``: oldest first.
    ``ready_to_vote``: it uses its vote or, without one, would from the first height that it is
    given one for.
    """

    node: str
    institution: str
    network: str
    chain: str
    role: str
    height: int
    block: str
    block_time: int
    view: int
    phase: str
    proposer: str
    committing: bool
    reason: str
    validators: tuple[ValidatorStatus, ...] = ()
    peers: tuple[PeerStatus, ...] = ()
    pending_transactions: int = 0
    pending_bytes: int = 0
    view_changes: int = 0
    syncing: bool = False
    ready_to_vote: bool = True
    next_expiry: Expiry | None = None
    clock_behind: int = 0
    divergence: Divergence | None = None
    certificates: tuple[CertificateStatus, ...] = ()
    liars: tuple[LiarStatus, ...] = ()
    version: str = ""
