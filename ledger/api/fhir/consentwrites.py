"""Consent at ``/fhir``: declaring and withdrawing.

Nothing is declared by a request alone. What a patient asks for is prepared and answered with 202
and what she has to sign; ``$sign`` takes the signature. What a registrar brings on a paper form is
proposed, and done when a second member of staff says that she has seen the form: ``$witness``. See
``docs/decisions/0057-consents-over-fhir-are-prepared.md``.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ledger.api.fhir import people
from ledger.api.fhir.consents import Consents
from ledger.api.fhir.errors import FhirProblem, not_found
from ledger.api.fhir.forms import form_of
from ledger.api.fhir.offer import Caller, Done, Resource
from ledger.api.fhir.proposals import Proposal
from ledger.api.fhir.signing import carried_out, signed_by_patient, signing_key
from ledger.api.principal import Kind
from ledger.chain.codec import Malformed
from ledger.chain.transaction import Call
from ledger.fhir import elements
from ledger.fhir.consent import Computable, Refused, import_consent
from ledger.fhir.consentview import Declared, Unsigned, fhir_id
from ledger.fhir.outcome import Issue, outcome
from ledger.node.consentindex import Version

#: Heights for which staff may witness what a registrar proposed.
STAFF_WINDOW: Final = 1_000
#: Elements that a change of the status may bring along or leave out.
_FREE: Final = frozenset(
    {"id", "meta", "text", "status", "extension", "sourceAttachment", "verification", "language"}
)


class ConsentWrites:
    """What changes consents."""

    def __init__(self, consents: Consents) -> None:
        self._consents = consents

    # --- declaring -------------------------------------------------------------------------------

    async def create(self, caller: Caller, resource: Resource, raw: bytes) -> Done:
        subject = await self._subject(caller, resource)
        form = form_of(resource)
        service = caller.service
        key = service.label_key(subject)
        # Asked to be made a consent, a proposed one is what it becomes when it is signed.
        wanted = (
            {**resource, "status": "active"} if resource.get("status") == "proposed" else resource
        )
        taken = await asyncio.to_thread(
            lambda: import_consent(wanted, people.directory(caller, resource, subject, key))
        )
        if isinstance(taken, Refused):
            raise _refusal(taken)
        self._check_speaker(caller, taken)
        name = f"c-{secrets.token_hex(16)}"
        source = hashlib.sha256(raw).digest()
        arguments = {
            "id": name, "subject": subject, "rules": list(taken.rules), "source": source,
        }  # fmt: skip
        warnings = tuple(
            Issue("informational", each.reason, each.path, "warning") for each in taken.warnings
        )
        head = service.head()
        declared = Declared(
            name=name, subject=subject, status="proposed", given_by=(taken.speaker,),
            rules=taken.rules, given=0, changed=head.time, version=0, source=source,
        )  # fmt: skip
        proposal = self._proposal(caller, resource, declared, "adopt", arguments, form)
        self._consents.proposals.keep(fhir_id(name), proposal, head.height)
        shown = self._consents.shown(caller.principal, proposal.declared)
        return Done(shown, 202, warnings)

    async def _subject(self, caller: Caller, resource: Resource) -> str:
        """The patient, if the caller may declare something in her name."""
        principal, service = caller.principal, caller.service
        patient = resource.get("patient")
        reference = elements.literal(patient) if isinstance(patient, Mapping) else ""
        subject = people.subject_of(caller, reference)
        if principal.kind is Kind.PATIENT:
            if subject == principal.id or await people.speaks_for(service, principal.id, subject):
                return subject
            text = "You may not speak for this patient, or there is none"
            raise FhirProblem(403, Issue("forbidden", text, "Consent.patient"))
        if principal.kind is not Kind.STAFF or "registrar" not in principal.roles:
            text = "Consents are declared by patients, or by registrars who hold a signed form"
            raise FhirProblem(403, Issue("forbidden", text))
        if not subject or people.person(service, subject) is None:
            unknown = Issue(
                "not-found", "Nobody of that reference is registered", "Consent.patient"
            )
            raise FhirProblem(422, unknown)
        return subject

    def _check_speaker(self, caller: Caller, taken: Computable) -> None:
        """A consent says who declared it; that must be who signs."""
        signs = caller.principal.id if caller.principal.kind is Kind.PATIENT else taken.subject
        if taken.speaker != signs:
            text = "declared by somebody else than who signs it"
            raise FhirProblem(422, Issue("business-rule", text, "Consent.performer"))

    def _proposal(
        self,
        caller: Caller,
        resource: Resource,
        declared: Declared,
        method: str,
        arguments: dict[str, Any],
        form: bytes,
    ) -> Proposal:
        """What is to be signed: by the patient, or by registrar and witness."""
        principal, service = caller.principal, caller.service
        height = service.head().height
        if principal.kind is Kind.PATIENT:
            call = Call("consent", method, arguments)
            key = signing_key(service, principal.id, resource)
            try:
                prepared = service.prepare([call], [key])
            except Malformed as error:
                raise FhirProblem(422, Issue("too-costly", str(error))) from None
            unsigned = Unsigned(prepared.body, prepared.id, prepared.valid_until)
            declared = replace(declared, unsigned=unsigned)
            return Proposal(
                declared, call, prepared.body, prepared.id, prepared.valid_until, principal
            )
        if not form:
            text = "the SHA-256 of the signed form, or the scanned form itself, is needed"
            raise FhirProblem(422, Issue("required", text, "Consent.sourceAttachment"))
        call = Call("consent", method, {**arguments, "form": form})
        declared = replace(declared, form=form, institution=principal.institution)
        return Proposal(declared, call, b"", b"", height + STAFF_WINDOW, principal)

    # --- withdrawing -----------------------------------------------------------------------------

    async def update(self, caller: Caller, name: str, resource: Resource, version: str) -> Done:
        current = await self._consents.read(caller, name)
        if current is None:
            raise not_found()
        for element in sorted({*current, *resource} - _FREE):
            if current.get(element) != resource.get(element):
                text = "A consent does not change: withdraw it and declare another"
                raise FhirProblem(422, Issue("business-rule", text, f"Consent.{element}"))
        return await self._to(caller, name, current, resource, version)

    async def patch(self, caller: Caller, name: str, operations: list[Any], version: str) -> Done:
        current = await self._consents.read(caller, name)
        if current is None:
            raise not_found()
        wanted = dict(current)
        for operation in operations:
            path, value = operation.get("path"), operation.get("value")
            match operation.get("op"), path:
                case "test", "/status":
                    if value != current["status"]:
                        raise FhirProblem(409, Issue("conflict", "The status is another one"))
                case (("replace" | "add"), "/status"):
                    wanted["status"] = value
                case "add", "/extension/-":
                    wanted["extension"] = [*wanted.get("extension", ()), value]
                case _:
                    text = "A patch replaces /status, and may add a form to /extension/-"
                    raise FhirProblem(422, Issue("not-supported", text))
        return await self._to(caller, name, current, wanted, version)

    async def _to(
        self, caller: Caller, name: str, current: Resource, wanted: Resource, version: str
    ) -> Done:
        """Lead a consent to another status."""
        if version and version != current["meta"]["versionId"]:
            raise FhirProblem(412, Issue("conflict", "The consent has another version by now"))
        before, status = current["status"], wanted.get("status")
        if status == before:
            return Done(current)
        if before == "proposed" and status in ("rejected", "inactive", "entered-in-error"):
            self._consents.proposals.drop(name)
            return Done({**current, "status": status})
        if before != "active" or status != "inactive":
            text = f"From {before}, the status can become " + (
                "inactive alone: that withdraws it" if before == "active" else "no other one here"
            )
            raise FhirProblem(422, Issue("business-rule", text, "Consent.status"))
        found = await self._consents.find(caller.principal, name)
        declared = (
            None if found is None else await asyncio.to_thread(self._consents.declared, found)
        )
        if found is None or declared is None:
            raise not_found()
        await self._check_may_withdraw(caller, found)
        proposal = self._proposal(
            caller, wanted, declared, "withdraw", {"id": found.name}, form_of(wanted, current)
        )
        self._consents.proposals.keep(name, proposal, caller.service.head().height)
        shown = self._consents.shown(caller.principal, replace(
            declared, unsigned=proposal.declared.unsigned
        ))  # fmt: skip
        issue = Issue("informational", "Not withdrawn yet: it has to be signed", severity="warning")
        return Done(shown, 202, (issue,))

    async def _check_may_withdraw(self, caller: Caller, version: Version) -> None:
        principal = caller.principal
        if principal.kind is Kind.PATIENT:
            return  # she sees hers, and of those for whom she speaks
        if principal.kind is not Kind.STAFF or "registrar" not in principal.roles:
            text = "Consents are withdrawn by patients, or by registrars who hold a signed form"
            raise FhirProblem(403, Issue("forbidden", text))

    # --- what completes a proposal ---------------------------------------------------------------

    async def sign(self, caller: Caller, name: str, parameters: Resource | None) -> Resource:
        """Take a patient's signature, and answer with the consent as it is then."""
        proposal = self._waiting(caller, name)
        if not proposal.body:
            raise FhirProblem(422, Issue("business-rule", "This one waits for a witness: $witness"))
        await signed_by_patient(caller.service, proposal, parameters)
        return await self._completed(caller, name)

    async def witness(self, caller: Caller, name: str, parameters: Resource | None) -> Resource:
        """A second member of staff has seen the form; do what the registrar proposed."""
        proposal = self._waiting(caller, name)
        principal = caller.principal
        if proposal.body:
            raise FhirProblem(422, Issue("business-rule", "This one waits for a signature: $sign"))
        if principal.kind is not Kind.STAFF or principal.id == proposal.by.id:
            text = "The witness is another member of staff than the registrar"
            raise FhirProblem(403, Issue("forbidden", text))
        await carried_out(caller.service, proposal, principal.id)
        return await self._completed(caller, name)

    def _waiting(self, caller: Caller, name: str) -> Proposal:
        height = caller.service.head().height
        found = self._consents.proposals.get(name, caller.principal, height)
        if found is None:
            raise not_found()
        return found

    async def _completed(self, caller: Caller, name: str) -> Resource:
        self._consents.proposals.drop(name)
        found = await self._consents.read(caller, name)
        if found is None:  # she may propose for somebody whose consents she does not see
            return outcome([Issue("informational", "Done", severity="information")])
        return found


def _refusal(refused: Refused) -> FhirProblem:
    """What is wrong with a consent, element by element."""
    code, status = ("structure", 400) if refused.structural else ("business-rule", 422)
    issues = [Issue(code, each.reason, each.path) for each in refused.problems]
    issues += [Issue(code, each.reason, each.path, "warning") for each in refused.warnings]
    return FhirProblem(status, *issues)
