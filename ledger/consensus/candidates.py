"""The blocks of one height that this node holds, and what executing them showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.chain.block import Block

#: Blocks kept beside the locked one. Older ones go; should one of them become final after all, it
#: is fetched with its certificate.
_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """What executing a block showed: a rule that it breaks, or what this node alone doubts."""

    fault: str | None = None
    doubt: str | None = None


GOOD: Final = Verdict()


class Candidates:
    """Blocks by header hash, with a verdict once there is one. A verdict is never asked twice."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, Block] = {}
        self._locked: tuple[bytes, Block] | None = None
        self._asked: set[bytes] = set()
        self._verdicts: dict[bytes, Verdict] = {}

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, bytes) and self.get(digest) is not None

    def get(self, digest: bytes) -> Block | None:
        """The block with that header hash, if it is at hand."""
        if self._locked is not None and self._locked[0] == digest:
            return self._locked[1]
        return self._blocks.get(digest)

    def keep(self, digest: bytes, block: Block) -> None:
        """Hold on to a block whose transactions are known to be those of its header."""
        self._blocks.pop(digest, None)
        self._blocks[digest] = block
        if len(self._blocks) > _KEPT:
            del self._blocks[next(iter(self._blocks))]

    def lock(self, digest: bytes, block: Block) -> None:
        """Hold on to a good block whatever comes; replaces the one locked before."""
        self._locked = digest, block
        self.judge(digest, GOOD)

    def to_check(self, digest: bytes) -> bool:
        """Whether the block has yet to be given out for checking; true once."""
        if digest in self._asked:
            return False
        self._asked.add(digest)
        return True

    def was_given_out(self, digest: bytes) -> bool:
        """Whether the block has been given out for checking."""
        return digest in self._asked

    def judge(self, digest: bytes, verdict: Verdict) -> None:
        """Note the outcome of executing the block."""
        self._asked.add(digest)
        self._verdicts[digest] = verdict

    def verdict(self, digest: bytes) -> Verdict | None:
        """What executing the block showed; None before it was executed."""
        return self._verdicts.get(digest)
