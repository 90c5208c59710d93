"""What a node writes down beside the chain, as AuditEvents: sign-ins, and readings of audit logs.

An entry is a map of the node's log: ``event``, ``time`` (ms), and, as far as there is one, ``who``,
``kind``, ``institution``, ``method``, ``session``, ``address``, ``path``, ``why``, ``what``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from ledger.fhir import auditparts as parts
from ledger.fhir import elements
from ledger.fhir.auditevents import Occurrence, audit_event
from ledger.fhir.elements import DCM, Element, coding, present

_ACTIVITY: Final = coding(DCM, "110100", "Application Activity")
_RESTRICTED: Final = coding(DCM, "110132", "Use of Restricted Function")
_LOG: Final = "urn:health-ledger:audit-log"

#: Event of the log → type, subtype, action, outcome.
_KINDS: Final = {
    "signed-in": (parts.USER_AUTHENTICATION, parts.LOGIN, "E", parts.SUCCESS),
    "signed-out": (parts.USER_AUTHENTICATION, parts.LOGOUT, "E", parts.SUCCESS),
    "refused": (parts.USER_AUTHENTICATION, parts.LOGIN, "E", parts.MINOR_FAILURE),
    "kept-out": (parts.SECURITY_ALERT, _RESTRICTED, "E", parts.SERIOUS_FAILURE),
    "audit-read": (parts.AUDIT_LOG_USED, None, "R", parts.SUCCESS),
}


def logged(occurrence: Occurrence, entry: Mapping[str, Any], node: str) -> Element:
    """One entry of a node's log; total for every entry that has an event.

    Args:
        node: id of the node that wrote it.
    """
    event = _text(entry, "event")
    kind, subtype, action, outcome = _KINDS.get(
        event, (_ACTIVITY, parts.own_subtype(event), "E", parts.SUCCESS)
    )
    who, institution = _text(entry, "who"), _text(entry, "institution")
    return audit_event(
        occurrence,
        kind=kind,
        subtypes=[subtype] if subtype else [],
        action=action,
        agents=[_agent(entry, who), *([parts.organisation(institution)] if institution else [])],
        observer=parts.node(node),
        site=parts.APPLICATION_SERVER,
        entities=_entities(entry, event),
        outcome=outcome,
        because=_text(entry, "why"),
    )


def _agent(entry: Mapping[str, Any], who: str) -> Element:
    agent = {
        "system": elements.logical("Device", elements.CLIENT_SYSTEM, who or "unknown"),
        "operator": elements.logical("Practitioner", elements.OPERATOR_SYSTEM, who or "unknown"),
    }.get(_text(entry, "kind"), elements.person(who or "unknown"))
    address = _text(entry, "address")
    return present({"who": agent, "requestor": True, "network": _network(address)})


def _network(address: str) -> Element:
    """An address of the Internet (network-type 2); of anything else, only that it is a name."""
    if not address:
        return {}
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return {"address": address, "type": "1"}
    return {"address": address, "type": "2"}


def _entities(entry: Mapping[str, Any], event: str) -> list[Element]:
    session = _text(entry, "session")
    found = []
    if session:
        said = parts.details(method=_text(entry, "method"))
        found.append(
            parts.thing_entity(elements.SESSION_SYSTEM, session, parts.SECURITY_RESOURCE, said)
        )
    path, what = _text(entry, "path"), _text(entry, "what")
    if event == "audit-read":
        found.append(
            parts.thing_entity(
                elements.URI_SYSTEM, _LOG, parts.SECURITY_RESOURCE, parts.details(path=path)
            )
        )
        if what:
            found.append(parts.query_entity(what))
    return found


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
