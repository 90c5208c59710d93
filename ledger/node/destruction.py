"""Destroying a record at a patient's request: what the holder's node does, in a safe order.

The chain is asked first, because what is gone cannot be put back: nothing is destroyed before the
date until which the law keeps the record. Then the vault destroys, a report of it is written into
the home, and the node signs for it on the chain. Each step can be done again, so it does not matter
where a node was stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.node.anchoring import Perform
from ledger.node.vault.passes import VaultBusy, claim_vault
from ledger.node.vault.vault import Vault

_log = structlog.get_logger(__name__)

#: What the node destroys. The source itself is the hospital's to clear.
PARTS: Final = ("salts", "keys", "copies")
#: How many versions a statement names.
MAX_NAMES: Final = 64
_DOMAIN: Final = b"health-ledger destruction report 1\x00"


class DestructionRefused(Exception):
    """Nothing was destroyed. ``code``: why; ``until``: up to when the law keeps the record, in ms
    of block time, 0 where that is not the reason."""

    def __init__(self, code: str, detail: str, until: int = 0) -> None:
        super().__init__(detail)
        self.code = code
        self.until = until


class Destroyed(NamedTuple):
    """What was destroyed. ``names``: of the versions of the record, in hex; ``statement``: the hash
    of the report, as it stands on the chain; ``report``: the file that has it, below the home."""

    erasure: str
    names: tuple[str, ...]
    statement: bytes
    report: Path


class Destruction:
    """The destructions of one holder.

    Args:
        holder: the institution.
        home: the home of the node; reports go into ``vault/erasures`` of it.
        vault: its records.
        ask: a query of the newest block: contract, method, arguments.
        perform: sends one call signed by the node.
        block_time: time of the newest block, in ms.
        clock: milliseconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        holder: str,
        home: Path,
        vault: Vault,
        ask: Callable[[str, str, dict[str, Any]], CallResult],
        perform: Perform,
        block_time: Callable[[], int],
        clock: Callable[[], int],
    ) -> None:
        self._holder = holder
        self._home = home
        self._vault = vault
        self._ask = ask
        self._perform = perform
        self._block_time = block_time
        self._clock = clock
        self._one = asyncio.Lock()

    async def destroy(self, erasure: str) -> Destroyed:
        """Destroy the record of a request, and sign for it on the chain.

        Raises:
            DestructionRefused: it may not be, or cannot; nothing has changed.
            PermissionError, TimeoutError: the record is gone, and it could not be signed for: do
                it again.
        """
        async with self._one:
            request = await asyncio.to_thread(self._due, erasure)
            done, new = await asyncio.to_thread(self._destroy, erasure, request)
            if request["status"] == "destroyed":
                return done
            _, result = await self._perform(
                Call(
                    "erasure",
                    "destroyed",
                    {
                        "erasure": erasure,
                        "parts": list(PARTS),
                        "names": list(done.names),
                        "statement": done.statement,
                    },
                )
            )
            if not result.ok:
                raise PermissionError(result.error)
            _log.info("record_destroyed", erasure=erasure, versions=len(done.names), again=not new)
            return done

    def _due(self, erasure: str) -> dict[str, Any]:
        """The request, if its record may be destroyed now."""
        answer = self._ask("erasure", "erasure", {"id": erasure})
        request = answer.value if answer.ok else None
        if not isinstance(request, dict) or request["holder"] != self._holder:
            raise DestructionRefused("unknown-erasure", "no such request is made of this holder")
        status, until = request["status"], request["until"]
        if status == "requested":
            raise DestructionRefused(
                "not-answered", "answer first on which ground the record is kept"
            )
        if status == "taken-back":
            raise DestructionRefused("taken-back", "the patient has taken the request back")
        if status != "destroyed" and until > self._block_time():
            raise DestructionRefused("kept", f"the record is kept: {request['ground']}", until)
        return request

    def _destroy(self, erasure: str, request: dict[str, Any]) -> tuple[Destroyed, bool]:
        name: bytes = request["record"]
        try:
            with claim_vault(self._home / "vault"):
                names = self._vault.erase(name, self._clock())
        except VaultBusy:
            raise DestructionRefused("busy", "records are being taken in; try again") from None
        if not names:
            raise DestructionRefused("unknown-record", "the vault never had such a record")
        # The one asked for is among them, however many there are.
        listed = [name, *(one for one in reversed(names) if one != name)][:MAX_NAMES]
        path = self._home / "vault" / "erasures" / f"{erasure}.json"
        new = not path.exists()
        if new:
            report = {
                "erasure": erasure,
                "holder": self._holder,
                "record": name.hex(),
                "names": sorted(one.hex() for one in names),
                "parts": list(PARTS),
                "ground": request["ground"],
                "kept_until": request["until"],
                "destroyed": self._clock(),
            }
            _write(path, json.dumps(report, indent=1, sort_keys=True).encode() + b"\n")
        statement = sha256(_DOMAIN + path.read_bytes()).digest()
        hexed = tuple(one.hex() for one in listed)
        return Destroyed(erasure, hexed, statement, path), new


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and onto the disk."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
