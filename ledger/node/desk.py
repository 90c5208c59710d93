"""The holder's record desk: hands records out, and writes down on the chain that it did.

A release is on the chain before the record leaves, so that a crash in between leaves a release
without a receipt, which is a finding, and never a record that left without a trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError

from ledger.chain.block import ValidatorSet
from ledger.chain.store import StoreAway
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.node.anchoring import AnchoringFailed, Perform, anchor
from ledger.node.metrics import Metrics
from ledger.node.setup.home import NodeHome
from ledger.node.vault import release as counter
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.vault import Vault

_log = structlog.get_logger(__name__)

SUBJECTS_FILE = "subjects.json"
LABEL_KEYS_FILE = "label-keys.json"
#: How often the source is looked through for new and changed records, in seconds.
RESCAN_SECONDS = 3_600.0
RETRY_SECONDS = 10.0


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
        perform: Perform,
        metrics: Metrics,
    ) -> None:
        self._home = home
        self._chain = chain
        self._validators = validators
        self._clock = clock
        self._block_time = block_time
        self._whois = whois
        self._perform = perform
        self._metrics = metrics
        self._vault = Vault.open(
            home.path / "vault" / "vault.db", DirectoryConnector(home.records), entropy=entropy
        )

    def close(self) -> None:
        """Let go of the vault file."""
        self._vault.close()

    async def keep_anchored(self) -> None:
        """Anchor what is new in the source, now and every hour; runs until cancelled."""
        while True:
            pause = RESCAN_SECONDS
            try:
                subjects = self._subjects()
                if subjects:
                    await anchor(
                        self._vault, self._home.institution, subjects, self._clock(), self._perform,
                        self._label_keys(),
                    )  # fmt: skip
                    self._metrics.anchoring.set(self._clock() / 1000)
            except (
                AnchoringFailed,
                DBAPIError,
                StoreAway,
                TimeoutError,
                PermissionError,
                OSError,
            ) as error:
                _log.warning("anchoring_interrupted", error=str(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    def _subjects(self) -> dict[str, str]:
        return self._texts(SUBJECTS_FILE)

    def _label_keys(self) -> dict[str, LabelKey]:
        keys = {}
        for pseudonym, secret in self._texts(LABEL_KEYS_FILE).items():
            try:
                keys[pseudonym] = LabelKey(bytes.fromhex(secret))
            except ValueError as error:
                raise OSError(f"{LABEL_KEYS_FILE}: {pseudonym}: {error}") from None
        return keys

    def _texts(self, name: str) -> dict[str, str]:
        path = self._home.path / "vault" / name
        if not path.exists():
            return {}
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except msgspec.DecodeError as error:
            raise OSError(f"{path}: {error}") from None

    async def release(self, request: bytes) -> bytes:
        """A sealed record for a permitted requester; raises `NotPermitted` or `Malformed`."""
        try:
            grant, sealed = await asyncio.to_thread(
                counter.release,
                request,
                chain=self._chain,
                validators=self._validators,
                holder=self._home.institution,
                now=self._block_time(),
                vault=self._vault,
            )
        except counter.Refused as refusal:
            self._withheld(refusal)
            raise
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
        self._metrics.released.inc()
        _log.info("record_released", decision=grant.decision, purpose=grant.purpose)
        return sealed

    def _withheld(self, refusal: counter.Refused) -> None:
        self._metrics.withheld.inc()
        if refusal.why is counter.Why.ALTERED:
            self._metrics.altered.inc()
        _log.warning("record_withheld", why=refusal.why.value)

    async def pointers(self, request: bytes) -> bytes:
        """The sealed pointers of a subject; raises as `release` does."""
        try:
            return await asyncio.to_thread(
                counter.pointers,
                request,
                chain=self._chain,
                holder=self._home.institution,
                whois=self._whois,
                vault=self._vault,
            )
        except counter.Refused as refusal:
            self._withheld(refusal)
            raise
