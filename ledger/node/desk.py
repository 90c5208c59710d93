"""The holder's record desk: hands records out, and writes down on the chain that it did.

A release is on the chain before the record leaves, so that a crash in between leaves a release
without a receipt, which is a finding, and never a record that left without a trace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from ledger.chain.block import ValidatorSet
from ledger.chain.exchange import Shown
from ledger.chain.result import CallResult
from ledger.chain.store import StoreAway
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.crypto.keys import SigningKey
from ledger.node.anchoring import AnchoringFailed, Perform, anchor
from ledger.node.answers import TooOften
from ledger.node.destruction import Destroyed, Destruction
from ledger.node.metrics import Metrics
from ledger.node.setup.home import NodeHome
from ledger.node.vault import release as counter
from ledger.node.vault import showing
from ledger.node.vault.connector import RecordUnavailable
from ledger.node.vault.handed import HandedLog
from ledger.node.vault.opened import RecordAltered
from ledger.node.vault.ownrecords import OwnRecords
from ledger.node.vault.passes import VaultBusy, claim_vault
from ledger.node.vault.patients import label_keys_in, subjects_in
from ledger.node.vault.sources import sources_of
from ledger.node.vault.turnstile import Turnstile
from ledger.node.vault.vault import Vault

_log = structlog.get_logger(__name__)

RETRY_SECONDS = 10.0
#: Records that are on their way at the same time.
MAX_STREAMS = 32
#: After how many seconds somebody for whom there was no room asks again.
BUSY_SECONDS = 5
#: Answers to enquiries go out at multiples of so many seconds.
ANSWER_EVERY_SECONDS = 0.25


class AnswerBroken(Exception):
    """A record that cannot be read to its end; its answer breaks off."""


class RecordDesk:
    """One holder's vault with the ways in and out of it.

    Args:
        home: names the holder; its ``vault`` directory has the vault file, ``subjects.json`` (the
            patient references of this hospital → pseudonyms), ``label-keys.json`` (pseudonyms → the
            keys under which their labels become tokens, hex) and, unless configured otherwise, the
            records.
        validators: the validator set of genesis, from which receipts are proved.
        clock: milliseconds since 1970-01-01 UTC.
        entropy: random bytes, for salts.
        block_time: time of the newest block, milliseconds.
        whois: the registry of the newest block.
        ask: a query of the newest block: contract, method, arguments.
        officer: the key of this node, a records officer of its institution.
    """

    def __init__(
        self,
        home: NodeHome,
        chain: bytes,
        validators: ValidatorSet,
        *,
        clock: Callable[[], int],
        entropy: Callable[[int], bytes],
        block_time: Callable[[], int],
        whois: Callable[[str], Mapping[str, Any] | None],
        ask: Callable[[str, str, dict[str, Any]], CallResult],
        officer: Callable[[], SigningKey],
        perform: Perform,
        metrics: Metrics,
    ) -> None:
        self._home = home
        self._chain = chain
        self._validators = validators
        self._clock = clock
        self._block_time = block_time
        self._turnstile = Turnstile(whois, clock)
        self._ask = ask
        self._officer = officer
        self._streams = 0
        self._perform = perform
        self._metrics = metrics
        self._vault = Vault.open(
            home.path / "vault" / "vault.db",
            sources_of(home, clock, self._subjects),
            entropy=entropy,
        )
        self._handed: HandedLog = self._vault.handed(clock)
        self._destruction = Destruction(
            home.institution, home.path, self._vault, ask, perform, block_time, clock
        )

    async def destroy(self, erasure: str) -> Destroyed:
        """Destroy the record of a patient's request; raises as `Destruction.destroy` does."""
        return await self._destruction.destroy(erasure)

    @property
    def own(self) -> OwnRecords:
        """What the vault says of its records to those who could look into the source anyway."""
        return OwnRecords(self._vault)

    def close(self) -> None:
        """Let go of the vault file."""
        self._vault.close()

    async def keep_anchored(self) -> None:
        """Anchor what is new in the source, now and every hour; runs until cancelled."""
        while True:
            pause = self._home.settings.vault.rescan_minutes * 60.0
            try:
                subjects = self._subjects()
                if subjects:
                    with claim_vault(self._home.path / "vault"):
                        await self._anchor(subjects)
            except (
                AnchoringFailed,
                DBAPIError,
                StoreAway,
                TimeoutError,
                PermissionError,
                OSError,
                VaultBusy,
            ) as error:
                _log.warning("anchoring_interrupted", error=str(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def _anchor(self, subjects: dict[str, str]) -> None:
        metrics = self._metrics

        def progress(what: str, done: int, of: int) -> None:
            metrics.anchoring_done.labels(what).set(done)
            metrics.anchoring_total.labels(what).set(of)

        await anchor(
            self._vault, self._home.institution, subjects, self._clock(), self._perform,
            self._label_keys(), progress,
        )  # fmt: skip
        standing = await asyncio.to_thread(self._vault.standing)
        metrics.records.labels("anchored").set(standing.anchored)
        metrics.records.labels("waiting").set(standing.waiting)
        metrics.anchoring.set(self._clock() / 1000)

    def label_key(self, subject: str) -> LabelKey | None:
        """The key under which a patient's labels become tokens, where this holder has it."""
        return self._label_keys().get(subject)

    def subject_of(self, reference: str) -> str:
        """The pseudonym of a patient by the hospital's own reference, or nothing."""
        return self._subjects().get(reference, "")

    def _subjects(self) -> dict[str, str]:
        return subjects_in(self._home.path / "vault")

    def _label_keys(self) -> dict[str, LabelKey]:
        return label_keys_in(self._home.path / "vault")

    @property
    def handed(self) -> HandedLog:
        """What was handed out, as this holder wrote it down."""
        return self._handed

    async def release(self, request: bytes, first: int = 0) -> AsyncGenerator[bytes, None]:
        """A permitted record, sealed, from chunk ``first`` on; to be closed when it is left early.

        It is written down before this returns. Where the source gives way while it is read, the
        generator raises `AnswerBroken`, and what went out does not pass for a whole record.

        Raises:
            NotPermitted: for any reason.
            TooOften: the asker has asked too often, or too many records are on their way.
            Malformed: the request can't be read.
        """
        if self._streams >= MAX_STREAMS:
            raise TooOften(BUSY_SECONDS)
        self._streams += 1
        try:
            ready = await self._permitted(request, first)
            try:
                await self._write_down(ready.grant)
                number = await asyncio.to_thread(self._note, ready.grant, first)
            except BaseException:
                ready.record.close()
                raise
        except BaseException:
            self._streams -= 1
            raise
        pieces = self._pieces(ready, number)
        # Begun, so that closing it does what its end does, also where nobody takes a piece.
        await anext(pieces)
        return pieces

    async def _permitted(self, request: bytes, first: int) -> counter.Release:
        try:
            return await asyncio.to_thread(
                counter.release,
                request,
                chain=self._chain,
                validators=self._validators,
                holder=self._home.institution,
                now=self._block_time(),
                vault=self._vault,
                officer=self._officer(),
                admit=self._turnstile.admit,
                first=first,
            )
        except counter.Refused as refusal:
            self._withheld(refusal)
            raise

    async def _write_down(self, grant: counter.Grant) -> None:
        call = Call(
            "access", "release", {"request": grant.decision, "digest": grant.pointer.digest}
        )
        try:
            _height, result = await self._perform(call)
            problem = "" if result.ok else result.error
        except (StoreAway, TimeoutError, PermissionError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem and not problem.startswith("already_released"):
            _log.error("release_not_recorded", decision=grant.decision, error=problem)
            unavailable = counter.Refused(counter.Why.UNAVAILABLE)
            self._withheld(unavailable)
            raise unavailable
        if not problem:
            self._metrics.released.inc()
        _log.info("record_released", decision=grant.decision, purpose=grant.purpose)

    async def _pieces(self, ready: counter.Release, number: int) -> AsyncGenerator[bytes, None]:
        sent, complete = 0, False
        try:
            yield b""
            while (piece := await asyncio.to_thread(next, ready.answer, None)) is not None:
                self._metrics.record_bytes.inc(len(piece))
                sent += len(piece)
                yield piece
            complete = True
        except (RecordAltered, RecordUnavailable) as error:
            _log.error("release_broken_off", decision=ready.grant.decision, error=str(error))
            if isinstance(error, RecordAltered):
                self._metrics.altered.inc()
            raise AnswerBroken from error
        finally:
            self._streams -= 1
            ready.record.close()
            # On this thread: whoever is cancelled here could not wait for another one.
            self._handed.end(number, sent, complete=complete)

    def _note(self, grant: counter.Grant, first: int) -> int:
        """Write into the own log that a record is about to go; its number there."""
        who = (grant.requester, grant.institution, grant.purpose)
        pointer = grant.pointer
        return self._handed.begin(grant.decision, pointer.name(), pointer.digest, who, first)

    def _withheld(self, refusal: counter.Refused) -> None:
        self._metrics.withheld.inc()
        if refusal.why is counter.Why.ALTERED:
            self._metrics.altered.inc()
        _log.warning("record_withheld", why=refusal.why.value)

    async def pointers(self, request: bytes) -> bytes:
        """The sealed pointers of a subject; raises as `release` does."""
        return await self._shown(
            showing.pointers,
            request,
            chain=self._chain,
            holder=self._home.institution,
            vault=self._vault,
            admit=self._turnstile.admit,
        )

    async def enquired(self, request: bytes) -> bytes:
        """The sealed pointers that may be shown on an enquiry; raises as `release` does.

        The answer goes out at a full quarter of a second since it was asked, for the time that it
        takes grows with how many pointers were looked at.
        """
        began = time.monotonic()
        try:
            return await self._shown(
                showing.enquired,
                request,
                chain=self._chain,
                validators=self._validators,
                holder=self._home.institution,
                now=self._block_time(),
                vault=self._vault,
                admit=self._turnstile.admit,
                preview=self._may_see,
            )
        finally:
            await asyncio.sleep(-(time.monotonic() - began) % ANSWER_EVERY_SECONDS)

    async def _shown(self, show: Callable[..., bytes], request: bytes, **given: Any) -> bytes:
        try:
            return await asyncio.to_thread(show, request, **given)
        except counter.Refused as refusal:
            self._withheld(refusal)
            raise

    def _may_see(self, shown: Shown, enquiry: showing.Enquiry, key: str) -> bool:
        answer = self._ask(
            "access",
            "preview",
            {
                "pointer": shown.pointer.value(), "proof": shown.proof,
                "purpose": enquiry.purpose, "institution": enquiry.institution, "key": key,
                "case": enquiry.case, "labels": list(shown.labels),
            },
        )  # fmt: skip
        return answer.ok and answer.value["outcome"] == "permit"
