"""Everything about pseudonyms at one node, put together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from ledger.chain.ceremonies import CONTRACT, Board
from ledger.chain.transaction import Call
from ledger.node.keyring import Keyring
from ledger.node.net import frames
from ledger.node.pseudonyms.asker import Asker, Gathered
from ledger.node.pseudonyms.conduct import Conduct, Perform
from ledger.node.pseudonyms.evaluator import Evaluator, Moment
from ledger.node.pseudonyms.party import Party
from ledger.node.pseudonyms.safe import Safe
from ledger.node.pseudonyms.switch import Switch
from ledger.node.pseudonyms.usage import Usage
from ledger.node.reads import ChainReads
from ledger.node.setup.home import NodeHome

USAGE_FILE: Final = "usage.db"


class CeremonyRefused(Exception):
    """The contract does not begin a ceremony for a domain; the text is its code and reason."""


class PseudonymDesk:
    """A node's part in pseudonyms: holder of shares, asker, or both.

    Args:
        home: its ``pseudonyms`` directory has the sealed shares and the accounts.
        chain: 32 bytes.
        keys: this node's signing keys.
        reads: what the chain says.
        seated: the ids of the validators, in their order.
        perform: sends a call of this node and waits until it is final.
        send: queues a frame for a peer.
        connected: whether a peer is connected.
        upwards: the nodes above this one.
        spawn: runs a job beside everything else.
        clock: milliseconds since 1970 UTC.
        entropy: random bytes.
    """

    def __init__(
        self,
        home: NodeHome,
        chain: bytes,
        keys: Keyring,
        reads: ChainReads,
        *,
        seated: Callable[[], Sequence[str]],
        perform: Perform,
        send: Callable[[str, frames.Frame], bool],
        connected: Callable[[str], bool],
        upwards: Callable[[], Sequence[str]],
        spawn: Callable[[Coroutine[None, None, None]], None],
        clock: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._directory = home.path / "pseudonyms"
        self._institution = home.institution
        self._chain = chain
        self._reads = reads
        self._perform = perform
        self._safe = Safe(self._directory, lambda: keys.held, entropy)
        party = Party(home.node, self._safe, entropy)
        self._usage: Usage | None = None
        self._opening = threading.Lock()
        evaluator = Evaluator(
            home.node, chain, self._moment, self._quota, party, self._accounts, entropy
        )
        self.switch = Switch(home.node, send, connected, upwards, evaluator.answer, spawn, entropy)
        self._asker = Asker(home.node, chain, keys.newest, self._moment, self.switch.ask, entropy)
        self._conduct = Conduct(
            home.node, chain, self._moment, seated, party, self._known_accounts, perform, clock
        )

    def _moment(self) -> Moment:
        head = self._reads.head()
        return Moment(head.height, head.time, self._reads.verified.state(head.height))

    def _quota(self, institution: str, domain: str) -> int:
        arguments: dict[str, Any] = {"institution": institution, "domain": domain}
        found = self._reads.ask(CONTRACT, "quota", arguments)
        return found.value if found.ok and isinstance(found.value, int) else 0

    def _accounts(self) -> Usage:
        with self._opening:
            if self._usage is None:
                self._usage = Usage(self._directory / USAGE_FILE)
            return self._usage

    def _known_accounts(self) -> Usage | None:
        if self._usage is None and not (self._directory / USAGE_FILE).exists():
            return None
        return self._accounts()

    # --- Its life ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take part in ceremonies, renew and account, until cancelled."""
        await asyncio.to_thread(self._safe.rewrap)
        await self._conduct.run()

    def follow(self, written: Iterable[bytes], time: int) -> None:
        """A block is final, which wrote these state entries at this block time."""
        self._conduct.follow(written, time)

    def rearmed(self) -> None:
        """The node holds one more signing key, which has to open its secrets as well."""
        self._safe.rewrap()

    def close(self) -> None:
        """Let go of the accounts."""
        if self._usage is not None:
            self._usage.close()

    # --- What others may ask -------------------------------------------------------------------

    async def evaluate(self, domain: str, elements: Sequence[bytes]) -> Gathered:
        """What holders answer about blinded elements; raises as `Asker.gather` does."""
        return await self._asker.gather(domain, elements)

    async def begin(self, domain: str) -> int:
        """Begin the ceremony for the key of a domain; its number.

        Raises:
            CeremonyRefused: the contract says why.
            TimeoutError: it was not final in time.
            PermissionError: the node takes no transaction in.
        """
        _height, result = await self._perform(Call(CONTRACT, "open", {"domain": domain}))
        if not result.ok or not isinstance(result.value, int):
            raise CeremonyRefused(result.error)
        return result.value

    def overview(self) -> dict[str, Any]:
        """The keys that there are, who holds them, and what this institution may ask in a day."""
        moment = self._moment()
        board = Board(moment.read, self._chain)
        keys = []
        for domain in board.active:
            epoch = board.epoch(domain)
            if epoch is None:
                continue
            keys.append(
                {
                    "domain": domain,
                    "epoch": epoch.number,
                    "public": epoch.holders.public.hex(),
                    "threshold": epoch.holders.threshold,
                    "holders": list(epoch.nodes.values()),
                    "since": epoch.time,
                    "quota": self._quota(self._institution, domain),
                }
            )
        going_on = [
            {"number": number, "domain": entry["domain"], "stage": entry["stage"]}
            for number in board.open
            for entry in (board.ceremony(number),)
        ]
        generation = int(board.settings.get("generation", 1))
        return {"generation": generation, "keys": keys, "ceremonies": going_on}
