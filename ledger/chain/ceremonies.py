"""What the contract `pseudonyms` has on its board, read from state entries.

Nodes that take part in a ceremony, askers that hold answers against verification shares, and
outsiders who compute a result again all read the same entries with these functions. ``read`` gives
the raw bytes of a state entry, or None; where it comes from decides how much is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode_value
from ledger.crypto.oprf import ceremony
from ledger.crypto.oprf.ceremony import Before, Dealing, Outcome, Terms, Transcript
from ledger.crypto.oprf.threshold import Holders

CONTRACT: Final = "pseudonyms"
#: Every state entry of the contract begins with this.
PREFIX: Final = b"pseudonyms/"
#: Stages in which something can be said.
STAGES: Final = ("join", "deal", "judge", "answer", "confirm")

Read = Callable[[bytes], bytes | None]


def patients(generation: int) -> str:
    """The domain of the key of patients of a generation, from 1."""
    return f"patients.{generation}"


def study(identity: str) -> str:
    """The domain of the key of a study."""
    return f"study.{identity}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """How the key of a domain is held from some time on.

    ``ceremony``: the number of the one it comes from. ``nodes`` and ``institutions``: by index of
    the share. ``time``: milliseconds of block time. ``transcript``: the hash that was confirmed.
    """

    domain: str
    number: int
    ceremony: int
    holders: Holders
    nodes: Mapping[int, str]
    institutions: Mapping[int, str]
    time: int
    transcript: bytes
    qualified: tuple[str, ...]

    def index(self, node: str) -> int | None:
        """The index of a node's share, None for one that holds none."""
        return next((index for index, name in self.nodes.items() if name == node), None)


def epoch_of(value: Any) -> Epoch:
    """An epoch from its state value; raises `Malformed` for something else."""
    try:
        holders = value["holders"]
        return Epoch(
            domain=str(value["domain"]),
            number=int(value["number"]),
            ceremony=int(value["ceremony"]),
            holders=Holders(
                bytes(value["public"]),
                int(value["threshold"]),
                {int(entry["index"]): bytes(entry["verification"]) for entry in holders},
            ),
            nodes={int(entry["index"]): str(entry["node"]) for entry in holders},
            institutions={int(entry["index"]): str(entry["institution"]) for entry in holders},
            time=int(value["time"]),
            transcript=bytes(value["transcript"]),
            qualified=tuple(map(str, value["qualified"])),
        )
    except (TypeError, KeyError, ValueError) as error:
        raise Malformed(f"not an epoch of a key: {error}") from None


class Board:
    """The entries of the contract in one state.

    Args:
        read: gives the raw bytes of a state entry, or None.
        chain: 32 bytes.
    """

    def __init__(self, read: Read, chain: bytes) -> None:
        self._read = read
        self._chain = chain

    def value(self, *parts: object) -> Any:
        """The value of an entry, or None."""
        raw = self._read(PREFIX + "/".join(map(str, parts)).encode())
        return None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters; empty where the chain has no such contract."""
        found: dict[str, Any] = self.value("settings") or {}
        return found

    @property
    def open(self) -> list[int]:
        """The numbers of the ceremonies that are going on."""
        return list(self.value("open") or [])

    @property
    def active(self) -> list[str]:
        """The domains that have a key."""
        return list(self.value("active") or [])

    def epoch(self, domain: str, number: int | None = None) -> Epoch | None:
        """How a key is held now, or was in an epoch; None where there is none."""
        wanted = self.value("current", domain) if number is None else number
        found = None if wanted is None else self.value("epochs", domain, wanted)
        return None if found is None else epoch_of(found)

    def ceremony(self, number: int) -> dict[str, Any]:
        """A ceremony's entry; raises `KeyError` where there is none."""
        found = self.value("ceremonies", number)
        if not isinstance(found, dict):
            raise KeyError(number)
        return found

    def dealers(self, entry: Mapping[str, Any]) -> list[str]:
        """Who deals in a ceremony."""
        return list(entry["members"] if entry["kind"] == "make" else entry["dealers"])

    def terms(self, entry: Mapping[str, Any]) -> Terms:
        """What a ceremony is about, once its members are known.

        The context is the chain's id and the number of the ceremony in eight bytes, most
        significant first.
        """
        before = None
        if entry["kind"] == "renew":
            old = self.epoch(entry["domain"], entry["epoch"] - 1)
            if old is None:
                raise Malformed("a key is shared anew that there is not")
            before = Before(old.holders, {node: index for index, node in old.nodes.items()})
        return Terms(
            context=self._chain + int(entry["number"]).to_bytes(8, "big"),
            members=tuple(entry["members"]),
            threshold=entry["threshold"],
            tolerated=entry["tolerated"],
            before=before,
        )

    def transcript(self, entry: Mapping[str, Any]) -> Transcript:
        """Everything that was said in a ceremony up to now."""
        number, members, dealers = entry["number"], entry["members"], self.dealers(entry)
        complaints: dict[str, list[str]] = {}
        for member in members:
            for dealer in self.value("verdicts", number, member) or []:
                complaints.setdefault(dealer, []).append(member)
        return Transcript(
            keys=self._said("keys", number, members),
            dealings={
                dealer: Dealing(tuple(dealt["commitments"]), dealt["sealed"])
                for dealer, dealt in self._said("dealings", number, dealers).items()
            },
            complaints=complaints,
            answers=self._said("answers", number, dealers),
        )

    def _said(self, what: str, number: int, by: list[str]) -> dict[str, Any]:
        found = {node: self.value(what, number, node) for node in by}
        return {node: value for node, value in found.items() if value is not None}

    def has_said(self, what: str, number: int, node: str) -> bool:
        """Whether a node has said something of a kind (``keys``, ``dealings``, ``verdicts``,
        ``answers``, ``confirmed``) in a ceremony."""
        return self.value(what, number, node) is not None

    def computed(self, entry: Mapping[str, Any]) -> Outcome:
        """What a ceremony comes to, computed from what was said; raises `CeremonyFailed`."""
        return ceremony.outcome(self.terms(entry), self.transcript(entry))


class NotReproduced(ValueError):
    """A key that is not what its ceremony comes to."""


def check_epoch(board: Board, epoch: Epoch) -> Outcome:
    """Compute again, from what the chain keeps, the key of an epoch and who holds it.

    Raises:
        NotReproduced: the entry says something else than its ceremony comes to.
    """
    try:
        found = board.computed(board.ceremony(epoch.ceremony))
    except (ceremony.CeremonyFailed, KeyError, Malformed) as error:
        raise NotReproduced(f"{epoch.domain}, epoch {epoch.number}: {error}") from None
    same = (
        found.holders.public == epoch.holders.public
        and found.holders.threshold == epoch.holders.threshold
        and dict(found.holders.verification) == dict(epoch.holders.verification)
        and found.digest == epoch.transcript
        and found.qualified == epoch.qualified
    )
    if not same:
        raise NotReproduced(f"{epoch.domain}, epoch {epoch.number}: the ceremony comes to another")
    return found
