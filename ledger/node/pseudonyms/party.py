"""One validator in a ceremony: what it says next, given the board and what it keeps to itself.

No clock, network or database: `Party.next` is asked whenever the board may have changed, and gives
a call to send, or nothing. What it needs for later steps it puts into the safe before the call
leaves, so that a crash in between costs nothing and never has it say two different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ledger.chain.ceremonies import CONTRACT, STAGES, Board
from ledger.chain.transaction import Call
from ledger.crypto import sealing
from ledger.crypto.oprf import ceremony, group
from ledger.crypto.oprf.ceremony import CeremonyFailed, Terms, Transcript
from ledger.crypto.oprf.group import Entropy
from ledger.crypto.oprf.sharing import BadShare, Polynomial
from ledger.node.pseudonyms.safe import Safe


class _Secrets(msgspec.Struct, frozen=True):
    """``key``: the X25519 key of the ceremony. ``coefficients``: of what this party dealt."""

    key: bytes
    coefficients: tuple[bytes, ...] = ()


def share_name(domain: str, number: int) -> str:
    """Under which name the safe has the share that a ceremony gave."""
    return f"share-{domain}-{number}"


class Party:
    """A validator in the ceremonies of its chain.

    Args:
        node: its id.
        safe: its secrets.
        entropy: random bytes.
    """

    def __init__(self, node: str, safe: Safe, entropy: Entropy) -> None:
        self._node = node
        self._safe = safe
        self._entropy = entropy

    def next(self, board: Board, number: int, now: int) -> Call | None:
        """What this validator has to say in a ceremony, or nothing.

        Args:
            board: the newest state.
            number: of the ceremony.
            now: block time that a transaction sent now will at least have, in milliseconds.

        Raises:
            SafeUnusable: its secrets are out of reach.
        """
        entry = board.ceremony(number)
        stage = entry["stage"]
        if stage not in STAGES:
            return None
        if now >= entry["due"]:
            return Call(CONTRACT, "tick", {"number": number})
        if stage == "join":
            return self._join(board, entry)
        if stage == "deal":
            return self._deal(board, entry)
        if self._node not in entry["members"] and stage != "answer":
            return None
        if stage == "judge":
            return self._judge(board, entry)
        if stage == "answer":
            return self._answer(board, entry)
        return self._confirm(board, entry)

    # --- Stages --------------------------------------------------------------------------------

    def _join(self, board: Board, entry: Mapping[str, Any]) -> Call | None:
        number = entry["number"]
        seated = [member["node"] for member in entry["validators"]]
        if self._node not in seated or board.has_said("keys", number, self._node):
            return None
        known = self._recall(number)
        if known is None:
            known = _Secrets(self._entropy(sealing.KEY_SIZE))
            self._keep(number, known)
        public = sealing.SealingKey(known.key).public
        return Call(CONTRACT, "join", {"number": number, "key": public})

    def _deal(self, board: Board, entry: Mapping[str, Any]) -> Call | None:
        number = entry["number"]
        if self._node not in board.dealers(entry) or board.has_said("dealings", number, self._node):
            return None
        terms = board.terms(entry)
        secret = None
        if terms.before is not None:
            secret = self._old_share(board, entry)
            if secret is None:
                return None
        known = self._recall(number) or _Secrets(self._entropy(sealing.KEY_SIZE))
        if not known.coefficients:
            dealt = Polynomial.random(terms.threshold, secret, self._entropy)
            known = _Secrets(known.key, dealt.coefficients)
            self._keep(number, known)
        keys = board.transcript(entry).keys
        dealing = ceremony.dealt(terms, self._node, keys, Polynomial(known.coefficients))
        return Call(
            CONTRACT,
            "deal",
            {
                "number": number,
                "commitments": list(dealing.commitments),
                "sealed": dict(dealing.sealed),
            },
        )

    def _judge(self, board: Board, entry: Mapping[str, Any]) -> Call | None:
        number = entry["number"]
        if board.has_said("verdicts", number, self._node):
            return None
        dealings = board.transcript(entry).dealings
        found = ceremony.complaints(board.terms(entry), self._node, self._key(number), dealings)
        return Call(CONTRACT, "judge", {"number": number, "complaints": list(found)})

    def _answer(self, board: Board, entry: Mapping[str, Any]) -> Call | None:
        number = entry["number"]
        accusers = board.transcript(entry).complaints.get(self._node, ())
        known = self._recall(number)
        if not accusers or board.has_said("answers", number, self._node):
            return None
        if known is None or not known.coefficients:
            return None
        terms, dealt = board.terms(entry), Polynomial(known.coefficients)
        shares = {accuser: dealt.share(terms.index(accuser)) for accuser in accusers}
        return Call(CONTRACT, "answer", {"number": number, "shares": shares})

    def _confirm(self, board: Board, entry: Mapping[str, Any]) -> Call | None:
        number = entry["number"]
        if board.has_said("confirmed", number, self._node):
            return None
        terms, transcript = board.terms(entry), board.transcript(entry)
        share = self._own_share(terms, transcript, number)
        if share is None:
            return None
        result = ceremony.outcome(terms, transcript)
        # In the safe before anybody counts on it.
        self._safe.put(share_name(entry["domain"], number), share)
        verification = result.holders.verification
        return Call(
            CONTRACT,
            "confirm",
            {
                "number": number,
                "public": result.holders.public,
                "verification": [verification[index] for index in sorted(verification)],
                "qualified": list(result.qualified),
                "transcript": result.digest,
            },
        )

    def _own_share(self, terms: Terms, transcript: Transcript, number: int) -> bytes | None:
        try:
            result = ceremony.outcome(terms, transcript)
            return ceremony.own_share(terms, transcript, result, self._node, self._key(number))
        except (CeremonyFailed, BadShare):
            return None

    # --- What it keeps -------------------------------------------------------------------------

    def _old_share(self, board: Board, entry: Mapping[str, Any]) -> bytes | None:
        old = board.epoch(entry["domain"], entry["epoch"] - 1)
        return None if old is None else self._safe.get(share_name(old.domain, old.ceremony))

    def _key(self, number: int) -> sealing.SealingKey:
        known = self._recall(number)
        # Without the key it opens nothing, and complains of everybody; that is the truth.
        return sealing.SealingKey(self._entropy(32) if known is None else known.key)

    def _keep(self, number: int, known: _Secrets) -> None:
        self._safe.put(f"ceremony-{number}", msgspec.msgpack.encode(known))

    def _recall(self, number: int) -> _Secrets | None:
        raw = self._safe.get(f"ceremony-{number}")
        return None if raw is None else msgspec.msgpack.decode(raw, type=_Secrets)

    def tidy(self, board: Board) -> None:
        """Delete what is of no use any more: secrets of ceremonies that are over, and shares that
        were replaced or whose key has ended. What was deleted cannot be taken from this node."""
        current = set()
        for domain in board.active:
            epoch = board.epoch(domain)
            if epoch is None:
                continue
            current.add(share_name(domain, epoch.ceremony))
            if epoch.index(self._node) is not None:
                self._take(board, domain, epoch.ceremony)
        for number in board.open:
            entry = board.ceremony(number)
            current |= {f"ceremony-{number}", share_name(entry["domain"], number)}
        known = board.value("ceremony_count") or 0
        for name in self._safe.names():
            # What the chain here has not come to yet is for later: the node may be catching up.
            if name not in current and int(name.rpartition("-")[2]) <= known:
                self._safe.drop(name)

    def _take(self, board: Board, domain: str, number: int) -> None:
        """Keep the share of a ceremony that ended before this node had confirmed its result: as
        many as it takes are not all."""
        name = share_name(domain, number)
        if self._recall(number) is None or self._safe.get(name) is not None:
            return
        entry = board.ceremony(number)
        share = self._own_share(board.terms(entry), board.transcript(entry), number)
        if share is not None:
            self._safe.put(name, share)

    def share(self, board: Board, domain: str) -> tuple[int, int, bytes] | None:
        """Epoch, index and share of this node for a domain, or None where it holds none."""
        epoch = board.epoch(domain)
        index = None if epoch is None else epoch.index(self._node)
        if epoch is None or index is None:
            return None
        share = self._safe.get(share_name(domain, epoch.ceremony))
        if share is None or group.base(share) != epoch.holders.verification[index]:
            return None
        return epoch.number, index, share
