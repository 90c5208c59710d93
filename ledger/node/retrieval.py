"""Records of other institutions, for a member of this node's staff.

What she asks is on the chain before a holder hears of it: an enquiry, then a request for one
record. The holder's answer is opened here, held against pointer, anchor and registry, and its
receipt is written when the last byte has come. A record of the own institution goes the same way,
without HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import structlog

from ledger.chain import exchange
from ledger.chain.codec import Malformed, encode
from ledger.chain.exchange import EnquiryRequest, Mismatch, Shown
from ledger.chain.receipt import Receipt
from ledger.chain.result import CallResult
from ledger.chain.streaming import RecordOpener
from ledger.chain.transaction import Call
from ledger.crypto.keys import SigningKey, key_id
from ledger.crypto.sealing import SealError, SealingKey
from ledger.node.agent import Acted
from ledger.node.answers import NotPermitted, TooOften
from ledger.node.desk import AnswerBroken, RecordDesk
from ledger.node.holders import Failure, HolderFailed, Holders

_log = structlog.get_logger(__name__)

#: Holders that are asked at the same time, for one search.
AT_ONCE: Final = 8
#: Seconds that one holder has for its part of a search.
SEARCH_SECONDS: Final = 20.0
#: Pointers that are taken from one holder for one search.
MAX_FOUND: Final = 10_000
#: How often a transfer that broke off is taken up again without a new chunk in between.
ATTEMPTS: Final = 4
PAUSE_SECONDS: Final = 0.5
#: How often writing down a receipt is tried.
RECEIPT_ATTEMPTS: Final = 3


class Emergency(NamedTuple):
    """Why the glass is broken: a coded reason, and a 32-byte commitment to the reason in words."""

    reason: str
    note: bytes


class HolderProblem(NamedTuple):
    """A holder that was asked and gave nothing, or not all; ``code`` is one of `Failure`."""

    holder: str
    code: str
    detail: str


class Found(NamedTuple):
    """What a search has found, sorted by holder; ``enquiry``: its id on the chain."""

    enquiry: str
    shown: list[Shown]
    problems: list[HolderProblem]


class ActFailed(Exception):
    """The chain refused what was to be done. ``code``: the contract's own."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.code = error.partition(":")[0]


class Denied(Exception):
    """The request was decided, and denied. ``decision``: as the contract gave it."""

    def __init__(self, decision: dict[str, Any]) -> None:
        super().__init__(decision["rule"])
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A record on its way. ``decision``: id on the chain. ``pieces``: its exact bytes, each piece
    authentic; to be closed when it is left early. Only who reads it to its end has the record: then
    it is what was anchored, or reading raises `HolderFailed`; and the receipt has been written.
    ``salt``: gives that of the record's digest, once the first piece has come.
    """

    decision: str
    media: str
    size: int
    obligations: tuple[str, ...]
    pieces: AsyncGenerator[bytes, None]
    salt: Callable[[], bytes]


#: Runs calls signed by a person of the staff: `Service.act`.
Act = Callable[[str, Sequence[Call]], Awaitable[Acted]]
#: A query of the newest block: contract, method, arguments.
Ask = Callable[[str, str, dict[str, Any]], CallResult]


class Retrieval:
    """Finds and fetches records for the staff of one institution.

    Args:
        chain: id of the chain.
        institution: of this node.
        act: signs with a person's held key and waits until it is final.
        key_of: the held key of a person.
        ask: queries.
        receipt: of a final transaction.
        holders: the way to the nodes of others.
        desk: this node's own records, if it keeps any.
    """

    def __init__(
        self,
        chain: bytes,
        institution: str,
        *,
        act: Act,
        key_of: Callable[[str], SigningKey],
        ask: Ask,
        receipt: Callable[[bytes], Receipt | None],
        holders: Holders,
        desk: RecordDesk | None,
    ) -> None:
        self._chain = chain
        self._institution = institution
        self._act = act
        self._key_of = key_of
        self._ask = ask
        self._receipt = receipt
        self._holders = holders
        self._desk = desk

    # --- searching -----------------------------------------------------------------------------

    async def search_records(
        self,
        person: str,
        institution: str,
        subject: str,
        purpose: str,
        holders: Iterable[str] | None = None,
        *,
        case: str = "",
        emergency: Emergency | None = None,
    ) -> Found:
        """Which records of a patient the holders show to a member of staff.

        Args:
            person: who asks, by the registry's id; this node holds her key.
            institution: for which she acts.
            subject: the patient's pseudonym.
            purpose: v3-PurposeOfUse; BTG with an ``emergency``.
            holders: whom to ask; every institution that has announced a place if None.
            case: as in ``access.request``.

        Raises:
            ActFailed: the chain refused the enquiry.
            NoHeldKey, PermissionError, TimeoutError: as `Service.act`.
        """
        reply = SealingKey.generate()
        asked = {"subject": subject, "institution": institution, "reply_key": reply.public}
        if emergency is not None:
            how = {"reason": emergency.reason, "note": emergency.note}
            call = Call("enquiry", "ask_in_emergency", {**asked, **how})
        else:
            call = Call("enquiry", "ask", {**asked, "purpose": purpose, "case": case})
        enquiry, receipt = await self._done(person, call)
        key = await asyncio.to_thread(self._key_of, person)
        room = asyncio.Semaphore(AT_ONCE)

        async def one(holder: str) -> tuple[list[Shown], HolderProblem | None]:
            async with room:
                question = exchange.ask_enquiry(
                    key, self._chain, holder, subject, enquiry["id"], receipt
                )
                try:
                    async with asyncio.timeout(SEARCH_SECONDS):
                        return await self._shown_by(question, key, reply), None
                except TimeoutError:
                    return [], HolderProblem(holder, Failure.TIMEOUT.value, "")
                except HolderFailed as error:
                    return [], HolderProblem(holder, error.failure.value, error.detail)

        names = sorted(set(await self._everybody() if holders is None else holders))
        answers = await asyncio.gather(*map(one, names))
        return Found(
            enquiry["id"],
            [shown for found, _ in answers for shown in found],
            [problem for _, problem in answers if problem is not None],
        )

    async def _everybody(self) -> list[str]:
        """All institutions that have announced a place, and this one if it keeps records."""

        def answers(institution: str) -> bool:
            if institution == self._institution and self._desk is not None:
                return True
            return self._has_place(institution)

        def look() -> list[str]:
            members = self._ask("governance", "members", {}).value["institutions"]
            return [member["id"] for member in members if answers(member["id"])]

        return await asyncio.to_thread(look)

    def _has_place(self, institution: str) -> bool:
        return self._ask("directory", "place", {"institution": institution}).value is not None

    async def _shown_by(
        self, question: EnquiryRequest, key: SigningKey, reply: SealingKey
    ) -> list[Shown]:
        found: list[Shown] = []
        while True:
            raw = await self._whole(question.holder, "enquired", encode(question))
            try:
                page, total = await asyncio.to_thread(exchange.open_pointers, raw, reply, question)
            except (Malformed, SealError, Mismatch) as error:
                raise HolderFailed(Failure.BAD_ANSWER, str(error)) from None
            found += await asyncio.to_thread(self._anchored, page)
            read = question.skip + len(page)
            if not page or read >= min(total, MAX_FOUND):
                return found
            question = exchange.ask_enquiry(
                key, self._chain, question.holder, question.subject, question.enquiry,
                question.receipt, read,
            )  # fmt: skip

    def _anchored(self, page: list[Shown]) -> list[Shown]:
        """Those that the chain knows and that still count."""

        def counts(shown: Shown) -> bool:
            arguments = {"pointer": shown.pointer.value(), "proof": shown.proof}
            answer = self._ask("records", "find", arguments)
            return answer.ok and answer.value["status"] == "anchored"

        return [shown for shown in page if counts(shown)]

    async def _whole(self, holder: str, what: str, body: bytes) -> bytes:
        if holder != self._institution or self._desk is None:
            return await self._holders.ask(holder, f"/v1/records/{what}", body)
        try:
            return await self._desk.enquired(body)
        except NotPermitted:
            raise HolderFailed(Failure.REFUSED) from None
        except TooOften:
            raise HolderFailed(Failure.TOO_OFTEN) from None

    # --- fetching ------------------------------------------------------------------------------

    async def fetch_record(
        self,
        person: str,
        institution: str,
        shown: Shown,
        purpose: str,
        *,
        case: str = "",
        emergency: Emergency | None = None,
    ) -> Retrieved:
        """Ask the chain for a record and, if it permits, the holder for its bytes.

        Args:
            person, institution, purpose, case: as for `search_records`.
            shown: what a holder has shown.
            emergency: breaks the glass.

        Raises:
            Denied: decided and denied; it is on the chain.
            ActFailed: the chain refused the request itself.
            NoHeldKey, PermissionError, TimeoutError: as `Service.act`.
        """
        reply, pointer = SealingKey.generate(), shown.pointer
        asked = {
            "pointer": pointer.value(), "proof": shown.proof, "institution": institution,
            "reply_key": reply.public,
        }  # fmt: skip
        if emergency is not None:
            how = {"reason": emergency.reason, "note": emergency.note}
            call = Call("access", "break_glass", {**asked, **how})
        else:
            more = {"purpose": purpose, "case": case, "labels": list(shown.labels)}
            call = Call("access", "request", {**asked, **more})
        decision, receipt = await self._done(person, call)
        if decision["outcome"] != "permit":
            raise Denied(decision)
        key = await asyncio.to_thread(self._key_of, person)
        request = exchange.ask_release(key, self._chain, pointer.holder, decision["id"], receipt)
        opener = RecordOpener(
            reply,
            self._chain,
            decision["id"],
            pointer,
            lambda by: self._officer(pointer.holder, by),
        )
        return Retrieved(
            decision["id"],
            pointer.media,
            pointer.size,
            tuple(decision["obligations"]),
            self._transfer(person, pointer.holder, encode(request), decision["id"], opener),
            lambda: opener.salt,
        )

    async def _transfer(
        self, person: str, holder: str, request: bytes, decision: str, opener: RecordOpener
    ) -> AsyncGenerator[bytes, None]:
        failures = 0
        while not opener.complete:
            had = opener.next
            try:
                async with aclosing(self._release(holder, request, opener.next)) as pieces:
                    async for piece in pieces:
                        # Opening is quick, a fraction of a millisecond for a chunk.
                        for plain in opener.feed(piece):
                            yield plain
                if not opener.complete:
                    raise HolderFailed(Failure.UNREACHABLE, "an answer that is cut short")
            except (Malformed, SealError, Mismatch) as error:
                raise HolderFailed(Failure.BAD_ANSWER, str(error)) from None
            except HolderFailed as error:
                failures = failures + 1 if opener.next == had else 1
                if failures >= ATTEMPTS or error.failure in (
                    Failure.REFUSED, Failure.BAD_ANSWER, Failure.NO_PLACE, Failure.UNSAFE_PLACE,
                ):  # fmt: skip
                    raise
                _log.warning("transfer_resumed", decision=decision, chunk=opener.next)
                await asyncio.sleep(PAUSE_SECONDS * 2**failures)
                opener.resume()
        await self._finish(person, decision, opener)

    async def _finish(self, person: str, decision: str, opener: RecordOpener) -> None:
        try:
            opener.finish()
        except Mismatch as error:
            await self._write_receipt(person, decision, error.digest, matches=False)
            raise HolderFailed(Failure.BAD_ANSWER, str(error)) from None
        await self._write_receipt(person, decision, opener.digest, matches=True)

    async def _write_receipt(
        self, person: str, decision: str, digest: bytes, *, matches: bool
    ) -> None:
        arguments = {"request": decision, "digest": digest, "matches": matches}
        for attempt in range(1, RECEIPT_ATTEMPTS + 1):
            try:
                acted = await self._act(person, [Call("access", "receipt", arguments)])
            except (TimeoutError, PermissionError) as error:
                _log.warning("receipt_delayed", decision=decision, error=type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
                continue
            (outcome,) = acted.result.calls
            if outcome.ok or outcome.error.startswith("already_received"):
                return
            break
        # The record has arrived all the same: what is missing is a finding for the regulator.
        _log.error("receipt_not_written", decision=decision)

    async def _release(
        self, holder: str, request: bytes, first: int
    ) -> AsyncGenerator[bytes, None]:
        if holder != self._institution or self._desk is None:
            path = "/v1/records/release"
            async with aclosing(self._holders.stream(holder, path, request, first)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        try:
            async with aclosing(await self._desk.release(request, first)) as pieces:
                async for piece in pieces:
                    yield piece
        except NotPermitted:
            raise HolderFailed(Failure.REFUSED) from None
        except TooOften:
            raise HolderFailed(Failure.TOO_OFTEN) from None
        except AnswerBroken:
            raise HolderFailed(Failure.UNREACHABLE, "the source gave way") from None

    def _officer(self, holder: str, public: bytes) -> bool:
        """Whether a key is that of a records officer of the holder, now."""
        answer = self._ask("registry", "whois", {"key": key_id(public)})
        person = answer.value if answer.ok else None
        return person is not None and person["status"] == "active" and any(
            place["institution"] == holder and "records-officer" in place["roles"]
            for place in person["affiliations"]
        )  # fmt: skip

    async def _done(self, person: str, call: Call) -> tuple[dict[str, Any], bytes]:
        """The value of a call that is final, and the encoded receipt of its transaction."""
        acted = await self._act(person, [call])
        (outcome,) = acted.result.calls
        if not outcome.ok:
            raise ActFailed(outcome.error)
        receipt = await asyncio.to_thread(self._receipt, acted.tx_id)
        if receipt is None:
            raise TimeoutError("the receipt of a final transaction is not there yet")
        return outcome.value, encode(receipt)
