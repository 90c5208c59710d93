"""The answer to "why is nothing being committed?", taken from the core at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.consensus.phases import Phase


@dataclass(frozen=True, slots=True)
class Status:
    """Where one validator stands within a height. Nodes are named by id.

    ``proposal``: header hash of the block on the table. ``locked_view``: the view of the newest
    prepared certificate held. ``prepared`` and ``committed``: who sent that vote for the proposal
    in this view. ``changing``: who sent a VIEW-CHANGE, and to which view. ``ahead``: a height above
    this one that at least one honest validator has reached, and who is there. ``refusal``: why the
    last proposal of this height was turned down.
    """

    height: int
    view: int
    phase: Phase
    node: str
    proposer: str
    validators: tuple[str, ...]
    quorum: int
    proposal: bytes | None
    locked_view: int | None
    prepared: tuple[str, ...]
    committed: tuple[str, ...]
    changing: tuple[tuple[str, int], ...]
    ahead: tuple[int, tuple[str, ...]] | None
    work_pending: bool
    refusal: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The validators whose next message this node is waiting for."""
        match self.phase:
            case Phase.DECIDED:
                return ()
            case Phase.WAITING | Phase.BUILDING:
                return (self.proposer,)
            case Phase.CHECKING:
                return (self.node,)
            case Phase.PREPARING:
                heard = set(self.prepared)
            case Phase.COMMITTING:
                heard = set(self.committed)
            case Phase.CHANGING:
                heard = {node for node, view in self.changing if view >= self.view}
                if len(heard) >= self.quorum:
                    return (self.proposer,)
        return tuple(node for node in self.validators if node not in heard)

    def explain(self) -> str:
        """One sentence for people."""
        where = f"height {self.height}, view {self.view}: "
        if self.ahead is not None:
            height, nodes = self.ahead
            return where + f"behind, {', '.join(nodes)} reached height {height}"
        return where + self._reason()

    def _reason(self) -> str:
        absent = ", ".join(self.missing)
        match self.phase:
            case Phase.DECIDED:
                return "final, the block is being stored"
            case Phase.WAITING if not self.work_pending:
                return f"nothing to do, {self.proposer} would propose"
            case Phase.WAITING:
                return f"waiting for the proposal of {self.proposer}"
            case Phase.BUILDING:
                return "building a block"
            case Phase.CHECKING:
                return f"executing the block that {self.proposer} proposed"
            case Phase.PREPARING:
                return f"{len(self.prepared)} of {self.quorum} PREPAREs, none from {absent}"
            case Phase.COMMITTING:
                return f"{len(self.committed)} of {self.quorum} COMMITs, none from {absent}"
            case Phase.CHANGING:
                moved = sum(view >= self.view for _, view in self.changing)
                if moved >= self.quorum:
                    return f"the view has changed, waiting for the proposal of {self.proposer}"
                because = f" after a refusal ({self.refusal})" if self.refusal else ""
                return f"{moved} of {self.quorum} VIEW-CHANGEs{because}, none from {absent}"
