"""What a verifying client asks, step by step, and how it checks each answer. No I/O.

Each procedure is a generator: it yields requests, is sent their answers, and returns what they
prove. `ledger.client.ledger` runs the same procedures over a synchronous and an asynchronous
connection.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from ledger.chain import ceremonies
from ledger.chain.block import Header
from ledger.chain.ceremonies import Epoch
from ledger.chain.codec import Malformed
from ledger.chain.constitution import VALIDATORS_KEY
from ledger.chain.disclosures import Disclosures, Entry, verify_disclosures
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import Verified
from ledger.chain.statement import Proven
from ledger.chain.transaction import Call, decode_transaction
from ledger.client import blocks, lists, patients, requests
from ledger.client.blocks import BlockPage, FinalTransaction, ProvenBlock
from ledger.client.builder import Account, build
from ledger.client.following import ProvenEvent, Told, check_event
from ledger.client.requests import Request, Submitted
from ledger.client.verify import check_entry, check_receipt

T = TypeVar("T")
Procedure = Generator[Request[Any], Any, T]

#: Verified receipts that are kept: the events of one transaction come one after the other.
KEPT: Final = 64
#: For how many heights a transaction made here stays valid, unless the caller says otherwise.
WINDOW: Final = 100


class NotAccepted(Exception):
    """The node took a transaction not in. ``code``: why, as the interface has it."""

    def __init__(self, submitted: Submitted) -> None:
        super().__init__(f"{submitted.code}: {submitted.detail}")
        self.code = submitted.code
        self.submitted = submitted


class DisclosurePage(NamedTuple):
    """A proven page of a patient's log, and the cursor of the page before it in the log."""

    proven: Disclosures
    cursor: str | None


class Prover:
    """Asks and checks, and remembers the newest block that was proven.

    Args:
        trust: from the genesis (`ledger.client.verify.trust_in`) or a trust file.
    """

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        #: The newest header that an answer has proven, None before the first.
        self.newest: Header | None = None
        self._kept: OrderedDict[bytes, Verified] = OrderedDict()

    def _seen(self, header: Header) -> None:
        if self.newest is None or header.height > self.newest.height:
            self.newest = header

    def receipt(self, tx_id: bytes, wait: float = 0) -> Procedure[Verified]:
        """A final transaction and what came out of it.

        Raises:
            InvalidReceipt: the node's receipt proves nothing.
            InvalidProof: it proves another transaction.
        """
        known = self._kept.get(tx_id)
        if known is not None:
            return known
        verified = check_receipt((yield requests.receipt(tx_id, wait)), self.trust)
        if verified.transaction.id != tx_id:
            raise InvalidProof("a receipt of another transaction")
        self._seen(verified.header)
        self._kept[tx_id] = verified
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return verified

    def submit(self, raws: Sequence[bytes], wait: float) -> Procedure[list[Verified]]:
        """Submit envelopes, and what is proven to have come out of each, in order.

        Raises:
            NotAccepted: for the first that the node did not take; the others may be final.
            NodeRefused: ``unknown-transaction`` where one was not final in time.
        """
        ids = [decode_transaction(raw).id for raw in raws]
        answers: list[Submitted] = yield requests.submit(raws, wait)
        if [answer.id for answer in answers] != [identity.hex() for identity in ids]:
            raise Malformed("an answer about other transactions")
        for answer in answers:
            if not answer.accepted:
                raise NotAccepted(answer)
        found = []
        for identity in ids:
            found.append((yield from self.receipt(identity, wait)))
        return found

    def perform(
        self,
        calls: Sequence[Call],
        signers: Sequence[Account],
        *,
        atomic: bool,
        wait: float,
        window: int,
    ) -> Procedure[Verified]:
        """Build, sign and submit one transaction; raises as `submit` does."""
        status: dict[str, Any] = yield requests.status()
        height = status.get("height")
        if not isinstance(height, int) or height < 0:
            raise Malformed("a status without a height")
        made = build(self.trust.chain, height, window, calls, signers, atomic=atomic)
        (verified,) = yield from self.submit([made.raw], wait)
        return verified

    def state(
        self, contract: str, key: str, height: int | None = None, at_least: int = 0
    ) -> Procedure[Proven]:
        """A state entry, or that there is none.

        Args:
            height: the state after that block; None lets the node choose.
            at_least: a height below which the answer is too old.

        Raises:
            InvalidProof: not proven, about something else, or too old.
        """
        entry = yield requests.state(contract, key, height, True)
        proven = check_entry(entry, self.trust, f"{contract}/{key}", height)
        if proven.header.height < at_least:
            raise InvalidProof(f"as of height {proven.header.height}, older than {at_least}")
        self._seen(proven.header)
        return proven

    def header(self, height: int | None = None) -> Procedure[Header]:
        """The header of a block that is final on this chain; raises as `state` does."""
        contract, _, key = VALIDATORS_KEY.decode().partition("/")
        proven = yield from self.state(contract, key, height)
        return proven.header

    def headers(self, first: int, count: int) -> Procedure[list[Header]]:
        """The headers of ``count`` blocks from ``first`` on (fewer at the end of the chain), each
        the parent of the next, the last one proven.

        Raises:
            InvalidProof: they are not of this chain.
        """
        page: dict[str, Any] = yield requests.blocks(first, count)
        found = [requests.read_header(item) for item in page.get("blocks", ())]
        if not found:
            return []
        if [header.height for header in found] != list(range(first, first + len(found))):
            raise Malformed("other blocks than were asked for")
        expected = (yield from self.header(found[-1].height)).hash() if found[-1].height else None
        if expected is None:
            raise InvalidProof("nobody certifies the genesis block alone; ask for later ones, too")
        for header in reversed(found):
            if header.hash() != expected:
                raise InvalidProof(f"header {header.height} is not of this chain")
            expected = header.parent
        return found

    def block(self, height: int | None = None) -> Procedure[ProvenBlock]:
        """A whole block, page by page: no transaction of it is left out.

        Raises:
            InvalidProof: these are not the transactions and results of the block.
        """
        header = yield from self.header(height)
        found: list[FinalTransaction] = []
        size: int | None = None
        while size is None or len(found) < size:
            page: BlockPage = yield blocks.page(header.height, len(found))
            if not page.transactions and len(found) < page.size:
                raise Malformed("an empty page of a block")
            size = page.size
            found += page.transactions
        blocks.check_block(header, found)
        return ProvenBlock(header, found)

    def pseudonym_key(self, domain: str, at_least: int = 0) -> Procedure[Epoch | None]:
        """How the key of a domain of pseudonyms is held now, None where there is none; raises as
        `state` does."""
        current = yield from self.state(ceremonies.CONTRACT, f"current/{domain}", at_least=at_least)
        if not current.present:
            return None
        number = current.value
        if not isinstance(number, int):
            raise Malformed("an epoch without a number")
        # An epoch is never changed, so it does not matter of which height this answer is.
        found = yield from self.state(ceremonies.CONTRACT, f"epochs/{domain}/{number}")
        epoch = ceremonies.epoch_of(found.value)
        if epoch.domain != domain:
            raise Malformed("an epoch of another key")
        return epoch

    def prepare(self, key: bytes, act: patients.Act, subject: str) -> Procedure[patients.Prepared]:
        """A transaction that does what a patient wants and nothing else, for her to sign.

        Raises:
            NotAsked: the node prepared something else.
            InvalidProof: it cannot prove how far the chain is.
        """
        header = yield from self.header()
        height = max(header.height, self.newest.height if self.newest else 0)
        prepared: patients.Prepared = yield patients.prepare(
            self.trust.chain, height, key, act, subject
        )
        return prepared

    def declare(
        self, account: Account, act: patients.Act, subject: str, wait: float
    ) -> Procedure[Verified]:
        """Have what a patient wants prepared, sign and submit it; raises as `prepare` and `submit`
        do."""
        prepared = yield from self.prepare(account.public, act, subject)
        (verified,) = yield from self.submit([prepared.sign(account)], wait)
        return verified

    def event(self, told: Told) -> Procedure[ProvenEvent]:
        """An event of a stream, held against the receipt of its transaction.

        Raises:
            InvalidProof, InvalidReceipt: it is not proven.
        """
        try:
            identity = bytes.fromhex(told.transaction)
        except ValueError:
            raise Malformed("an event of an odd transaction") from None
        verified = yield from self.receipt(identity)
        return check_event(told, verified)

    def disclosure_page(
        self, subject: str, cursor: str | None, limit: int, at_least: int
    ) -> Procedure[DisclosurePage]:
        """One page of a patient's log, newest page first; raises `InvalidProof`."""
        file, following = yield lists.proven_disclosures(subject, cursor, limit)
        proven = verify_disclosures(file, self.trust, subject, at_least=at_least)
        self._seen(proven.header)
        return DisclosurePage(proven, following)

    def disclosures(
        self, subject: str, at_least: int = 0, limit: int = lists.LARGEST_PAGE
    ) -> Procedure[list[Entry]]:
        """The whole log of a patient, oldest first, proven to be whole up to the height of its
        first page.

        Raises:
            InvalidProof: something is left out, added, changed or too old.
        """
        entries: list[Entry] = []
        cursor: str | None = None
        missing: int | None = None
        while missing is None or missing > 0:
            page = yield from self.disclosure_page(subject, cursor, limit, at_least)
            proven = page.proven
            end = proven.first + len(proven.entries)
            if end != (proven.total if missing is None else missing):
                raise InvalidProof("the pages of the list do not adjoin")
            if not proven.entries and end:
                raise InvalidProof("a page of the list is empty")
            entries[:0] = proven.entries
            missing, cursor = proven.first, page.cursor
        return entries
