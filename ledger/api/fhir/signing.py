"""Completing what was proposed: signatures in, a final transaction out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from ledger.api.fhir import people
from ledger.api.fhir.errors import FhirProblem
from ledger.api.fhir.offer import Resource
from ledger.api.fhir.proposals import Proposal
from ledger.api.service import Acted, NodeService
from ledger.chain.codec import Malformed, encode
from ledger.chain.result import Result
from ledger.chain.transaction import Envelope, decode_transaction
from ledger.fhir.elements import EXTENSION
from ledger.fhir.outcome import Issue
from ledger.node.custody import NoHeldKey

#: By which of her keys a patient will sign: the wire public key, in hex.
KEY_EXTENSION: Final = EXTENSION + "signing-key"
#: How long a request waits until a transaction is final, in seconds.
PATIENCE: Final = 30.0


def signing_key(service: NodeService, patient: str, resource: Mapping[str, Any]) -> bytes:
    """The key by which a patient will sign: the one that the resource names, or her only one.

    A `FhirProblem` 422 where it is not hers, or she has several and none is named.
    """
    hers = people.keys_of(service, patient)
    extensions = resource.get("extension")
    named = [
        each.get("valueString")
        for each in (extensions if isinstance(extensions, list) else ())
        if isinstance(each, Mapping) and each.get("url") == KEY_EXTENSION
    ]
    chosen = named or hers
    if len(chosen) != 1 or chosen[0] not in hers:
        text = f"name one of your keys by {KEY_EXTENSION}" if hers else "no key of yours is known"
        raise FhirProblem(422, Issue("required", text, "Consent.extension"))
    return bytes.fromhex(chosen[0])


async def signed_by_patient(
    service: NodeService, proposal: Proposal, parameters: Resource | None
) -> None:
    """Send what a patient signed, and wait until it is final.

    ``parameters``: a Parameters resource with ``signature`` (base64) or ``transaction`` (the whole
    envelope, base64).
    """
    raw = _envelope(proposal, parameters)
    try:
        transaction = decode_transaction(raw)
    except Malformed as error:
        raise FhirProblem(422, Issue("structure", f"Not a transaction: {error}")) from None
    if transaction.id != proposal.id:
        raise FhirProblem(422, Issue("invalid", "Another transaction than was prepared"))
    (submission,) = await service.submit([raw])
    if not submission.accepted:
        raise FhirProblem(422, Issue("processing", f"Not taken: {submission.code}"))
    await service.wait(transaction.id, PATIENCE)
    outcome = service.outcome(transaction.id)
    if outcome is None:
        late = Issue("timeout", "Sent, and not final yet: read it again later")
        raise FhirProblem(504, late)
    _check(outcome[2])


def _envelope(proposal: Proposal, parameters: Resource | None) -> bytes:
    values = _values(parameters)
    if set(values) == {"transaction"}:
        return values["transaction"]
    if set(values) == {"signature"}:
        return encode(Envelope(proposal.body, (values["signature"],)))
    raise FhirProblem(400, Issue("required", "Parameters with signature, or with transaction"))


def _values(parameters: Resource | None) -> dict[str, bytes]:
    """The base64 values of a Parameters resource, by name."""
    given = (parameters or {}).get("parameter")
    found: dict[str, bytes] = {}
    for each in given if isinstance(given, list) else ():
        name = each.get("name") if isinstance(each, Mapping) else None
        text = each.get("valueBase64Binary") if isinstance(each, Mapping) else None
        if not isinstance(name, str) or not isinstance(text, str) or name in found:
            raise FhirProblem(400, Issue("structure", "Parameters: each once, valueBase64Binary"))
        try:
            found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise FhirProblem(400, Issue("value", "Parameters: not base64")) from None
    return found


async def carried_out(service: NodeService, proposal: Proposal, witness: str) -> Acted:
    """Do what a registrar proposed and somebody has witnessed, with keys that the node holds."""
    try:
        acted = await service.act(proposal.by.id, [proposal.call], witness)
    except NoHeldKey:
        text = "The node does not hold the keys of both; they cannot sign here"
        raise FhirProblem(422, Issue("business-rule", text)) from None
    except (PermissionError, Malformed) as error:
        raise FhirProblem(422, Issue("processing", f"Not taken: {error}")) from None
    except TimeoutError:
        late = Issue("timeout", "Sent, and not final yet: read it again later")
        raise FhirProblem(504, late) from None
    _check(acted.result)
    return acted


def _check(result: Result) -> None:
    """A `FhirProblem` 422 with the contract's own reason where it refused."""
    for call in result.calls:
        if not call.ok:
            text = f"The contract refused: {call.error}"
            raise FhirProblem(422, Issue("business-rule", text))
