"""Records of two hospitals for tests of ``/fhir``: the East Hospital's own, whose node answers, and
the South Hospital's, whose node is played here. What is decided is decided on the real chain."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from ledger.api.fhir.purpose import Purpose
from ledger.api.fhir.sources import (
    CannotAct,
    Denied,
    Elsewhere,
    FetchBroken,
    Fetched,
)
from ledger.api.principal import Kind, Principal
from ledger.chain import merkle
from ledger.chain.exchange import Shown
from ledger.chain.pointer import Pointer, commitment, record_digest
from ledger.client.builder import Account, build, call
from ledger.crypto.keys import key_id
from ledger.crypto.sealing import SealingKey
from ledger.fhir.outcome import Issue
from ledger.node.vault.ownrecords import Opening
from tests.support.local_service import Consortium, LocalService

SALT = b"s" * 16
STAFF = {"physician", "nurse", "emergency-physician", "records-officer"}
_numbers = itertools.count()


def record(code: str, text: str = "") -> bytes:
    return (
        '{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/f001"},'
        f'"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},'
        f'"effectiveDateTime":"2026-01-0{1 + len(text) % 9}","valueString":"{text or code}"}}'
    ).encode()


class Hospitals:
    """`ledger.api.fhir.sources.Sources` for tests.

    ``contents``: bytes of records by name. ``broken``: names of records that do not arrive.
    ``broken_at_end``: all arrive, and none is what was promised.
    ``away``: holders that do not answer. ``asked``: enquiries that were made.
    """

    def __init__(self, service: LocalService, consortium: Consortium) -> None:
        self._service = service
        self._consortium = consortium
        self._own: list[Shown] = []
        self._others: dict[str, list[Shown]] = {}
        self.contents: dict[bytes, bytes] = {}
        self.broken: set[bytes] = set()
        self.broken_at_end = False
        self.away: set[str] = set()
        self.asked = 0

    # --- setting up ------------------------------------------------------------------------------

    async def anchor(
        self, holder: str, subject: str, contents: Sequence[bytes], **changes: Any
    ) -> list[Shown]:
        """Anchor records as one batch and let them be shown."""
        pointers = [self._pointer(holder, subject, content, changes) for content in contents]
        leaves = [pointer.name() for pointer in pointers]
        root = merkle.root_of_hashes(leaves)
        await self.perform(holder, "anchor_many", holder=holder, root=root, size=len(leaves))
        shown = [
            Shown(
                pointer,
                {"root": root, "index": place, "size": len(leaves),
                 "path": list(merkle.inclusion_path(leaves, place))},
            )
            for place, pointer in enumerate(pointers)
        ]  # fmt: skip
        at = self._own if holder == self._service.institution else self._others.setdefault(
            holder, []
        )  # fmt: skip
        at.extend(shown)
        self.contents |= dict(zip(leaves, contents, strict=True))
        return shown

    def _pointer(
        self, holder: str, subject: str, content: bytes, changes: dict[str, Any]
    ) -> Pointer:
        fields: dict[str, Any] = {
            "holder": holder, "subject": subject, "kind": "laboratory",
            "digest": record_digest(SALT, content), "size": len(content),
            "media": "application/fhir+json", "start": 1_700_000_000_000 + next(_numbers),
            "end": 1_700_000_100_000, "confidentiality": "N",
            "type": commitment(SALT, "http://loinc.org|2339-0"), "labels": b"l" * 32,
            "replaces": b"",
        }  # fmt: skip
        return Pointer(**{**fields, **changes})

    async def perform(self, hospital: str, method: str, **arguments: Any) -> None:
        """Let a hospital's node call the contract records."""
        officer = Account(self._consortium.nodes[f"{hospital}-1"])
        told = call("records", method, **arguments)
        made = build(self._service.chain, self._service.head().height, 100, [told], [officer])
        await self._service.submit([made.raw])
        await self._service.wait(made.id, 1)
        outcome = self._service.outcome(made.id)
        assert outcome is not None
        assert outcome[2].ok, outcome

    # --- what the facade asks --------------------------------------------------------------------

    def may_know(self, principal: Principal, subject: str) -> bool:
        if principal.kind is Kind.PATIENT:
            return principal.id == subject
        mine = principal.institution == self._service.institution
        return mine and (principal.kind is Kind.SYSTEM or bool(STAFF & set(principal.roles)))

    async def own(self, subject: str) -> Sequence[Shown]:
        return [each for each in self._own if each.pointer.subject == subject]

    async def own_record(self, name: bytes) -> Shown | None:
        return next((each for each in self._own if each.pointer.name() == name), None)

    async def opening(self, name: bytes) -> Opening | None:
        if await self.own_record(name) is None:
            return None
        return Opening("http://loinc.org|2339-0", ("PSY",), SALT)

    async def content(self, name: bytes) -> bytes | None:
        return self.contents[name] if await self.own_record(name) is not None else None

    async def elsewhere(
        self, principal: Principal, subject: str, purpose: Purpose, holders: Sequence[str]
    ) -> Elsewhere:
        key = self._service.custody.get(principal.id)
        if key is None:
            raise CannotAct("no key is held for you here")
        self.asked += 1
        reply = SealingKey.generate().public
        asked = {"subject": subject, "institution": principal.institution, "reply_key": reply}
        if purpose.breaks_glass:
            told = call("enquiry", "ask_in_emergency", **asked, reason=purpose.reason,
                        note=purpose.note)  # fmt: skip
        else:
            told = call("enquiry", "ask", **asked, purpose=purpose.code, case=purpose.case)
        acted = await self._service.act(principal.id, [told])
        outcome = acted.result.calls[0]
        if not outcome.ok:
            raise Denied("", outcome.error.partition(":")[0])
        found, problems = [], []
        for holder in holders or self._others:
            if holder in self.away:
                problems.append(Issue("incomplete", f"{holder} did not answer", severity="warning"))
                continue
            for each in self._others.get(holder, ()):
                if each.pointer.subject != subject:
                    continue
                if await self._preview(each, purpose, principal, key_id(key.public)):
                    found.append(each)
        return Elsewhere(found, problems)

    async def _preview(
        self, shown: Shown, purpose: Purpose, principal: Principal, key: str
    ) -> bool:
        answer = await self._service.query(
            "access",
            "preview",
            {
                "pointer": shown.pointer.value(), "proof": shown.proof, "purpose": purpose.code,
                "institution": principal.institution, "key": key, "case": purpose.case,
                "labels": [],
            },
        )  # fmt: skip
        return answer.ok and answer.value["outcome"] == "permit"

    async def fetch(self, principal: Principal, shown: Shown, purpose: Purpose) -> Fetched:
        if principal.id not in self._service.custody:
            raise CannotAct("no key is held for you here")
        asked = {
            "pointer": shown.pointer.value(), "proof": shown.proof,
            "institution": principal.institution, "reply_key": SealingKey.generate().public,
        }  # fmt: skip
        if purpose.breaks_glass:
            told = call("access", "break_glass", **asked, reason=purpose.reason, note=purpose.note)
        else:
            told = call("access", "request", **asked, purpose=purpose.code, case=purpose.case)
        outcome = (await self._service.act(principal.id, [told])).result.calls[0]
        assert outcome.ok, outcome
        decision = outcome.value
        if decision["outcome"] != "permit":
            raise Denied(decision["id"], decision["rule"])
        name = shown.pointer.name()
        if name not in self.contents:
            raise FetchBroken("the holder does not give it")
        return Fetched(decision["id"], self._pieces(name), SALT)

    async def _pieces(self, name: bytes) -> AsyncGenerator[bytes, None]:
        content = self.contents[name]
        for start in range(0, len(content), 64):
            if name in self.broken and start:
                raise FetchBroken("the holder broke off")
            yield content[start : start + 64]
        if self.broken_at_end:
            raise FetchBroken("not the record to which the pointer commits")
