"""A ceremony of honest validators on the contract `pseudonyms`, every step of which can be bent."""

from __future__ import annotations

from typing import Any

from ledger.crypto import sealing
from ledger.crypto.oprf import ceremony, group, sharing
from ledger.crypto.oprf.ceremony import Before, Dealing, Outcome, Terms, Transcript
from ledger.crypto.oprf.threshold import Holders
from tests.support.contracts import NODES, World


def holders_of(epoch: dict[str, Any]) -> Holders:
    return Holders(
        epoch["public"],
        epoch["threshold"],
        {holder["index"]: holder["verification"] for holder in epoch["holders"]},
    )


class Board:
    """The validators of a `World` at one ceremony. ``absent`` says nothing at all."""

    def __init__(self, world: World, domain: str, absent: tuple[str, ...] = ()) -> None:
        self.world = world
        self.domain = domain
        self.present = [node for node in NODES if node not in absent]
        self.keys = {node: sealing.SealingKey.generate() for node in self.present}
        self.polynomials: dict[str, sharing.Polynomial] = {}
        self.shares: dict[str, bytes] = {}
        self.number = 0

    def says(self, node: str, method: str, **arguments: Any) -> Any:
        return self.world.does(node, "pseudonyms", method, number=self.number, **arguments)

    @property
    def entry(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.asks("pseudonyms", "ceremony", number=self.number)
        return found

    @property
    def stage(self) -> str:
        return str(self.entry["stage"])

    def wait(self) -> None:
        """Let the time of a stage pass."""
        self.world.later(120_000)
        self.says(self.present[0], "tick")

    @property
    def terms(self) -> Terms:
        entry = self.entry
        before = None
        if entry["kind"] == "renew":
            epoch = self.world.asks(
                "pseudonyms", "epoch", domain=self.domain, number=entry["epoch"] - 1
            )
            before = Before(holders_of(epoch), {h["node"]: h["index"] for h in epoch["holders"]})
        return Terms(
            str(self.number).encode(), tuple(entry["members"]), entry["threshold"],
            entry["tolerated"], before,
        )  # fmt: skip

    @property
    def transcript(self) -> Transcript:
        said = self.world.asks("pseudonyms", "said", number=self.number)
        accused: dict[str, list[str]] = {}
        for member, dealers in said["verdicts"].items():
            for dealer in dealers:
                accused.setdefault(dealer, []).append(member)
        dealings = {
            dealer: Dealing(tuple(dealt["commitments"]), dealt["sealed"])
            for dealer, dealt in said["dealings"].items()
        }
        return Transcript(said["keys"], dealings, accused, said["answers"])

    def open(self, by: str = "city-1") -> None:
        self.number = self.world.does(by, "pseudonyms", "open", domain=self.domain)

    def join(self) -> None:
        for node in self.present:
            self.says(node, "join", key=self.keys[node].public)

    def deal(self, node: str, secret: bytes | None = None) -> None:
        dealing, self.polynomials[node] = ceremony.deal(
            self.terms, node, self.transcript.keys, secret
        )
        self.says(node, "deal", commitments=list(dealing.commitments), sealed=dict(dealing.sealed))

    def judge(self) -> None:
        terms, dealings = self.terms, self.transcript.dealings
        for node in self.present:
            if node in terms.members:
                found = ceremony.complaints(terms, node, self.keys[node], dealings)
                self.says(node, "judge", complaints=list(found))

    def confirm(self) -> Outcome:
        terms, transcript = self.terms, self.transcript
        result = ceremony.outcome(terms, transcript)
        for node in self.present:
            self.shares[node] = ceremony.own_share(terms, transcript, result, node, self.keys[node])
            if self.stage == "confirm":
                self.says(node, "confirm", **claim(result))
        return result

    def play(self, secrets: dict[str, bytes] | None = None) -> Outcome:
        """All of it, with everybody honest."""
        self.open()
        self.join()
        for node in secrets or self.present:
            self.deal(node, (secrets or {}).get(node))
        self.judge()
        return self.confirm()


def claim(result: Outcome) -> dict[str, Any]:
    """What a member confirms."""
    verification = result.holders.verification
    return {
        "public": result.holders.public,
        "verification": [verification[index] for index in sorted(verification)],
        "qualified": list(result.qualified),
        "transcript": result.digest,
    }


def whole(result: Outcome, shares: dict[str, bytes], terms: Terms) -> bytes:
    """The key, from as many shares as it takes: what must not be possible for anybody alone."""
    some = dict(list(shares.items())[: result.holders.threshold])
    indexes = [terms.index(node) for node in some]
    found = group.ZERO
    for node, share in some.items():
        found = group.plus(found, group.times(sharing.weight(terms.index(node), indexes), share))
    return found
