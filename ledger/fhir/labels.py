"""Security labels of FHIR resources, reduced to what a pointer may carry.

On the chain stands N, R or V (v3-Confidentiality) and a commitment to the sensitivity codes; the
codes themselves stay with the record, because "the security label itself is sensitive" (HL7 DS4P).
IHE PCF asks for at least R wherever a stigmatising sensitivity is named; we take every sensitivity
code of v3-ActCode as one. No label at all means N. A label that we do not know means V: whoever put
it there had a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

CONFIDENTIALITY_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

_LEVELS: Final = ("N", "R", "V")
#: The pointer knows three levels; what is less confidential than normal is treated as normal.
_LEVEL_OF: Final = {"U": "N", "L": "N", "M": "N", "N": "N", "R": "R", "V": "V"}
#: Deprecated codes of v3-Confidentiality that are sensitivities today.
_BY_TYPE: Final = frozenset({"ETH", "HIV", "PSY", "SDV"})

_SENSITIVITY_CODES = (
    "ETH GDIS HIV MST SCA SDV SEX SPI BH COGN DVD EMOTDIS MH PSY PSYTHPN SUD ETHUD OPIOIDUD STD "
    "TBOO VIO SICKLE DEMO DOB GENDER LIVARG MARST RACE REL B EMPL LOCIS SSP ADOL CEL DIA DRGIS "
    "EMP PDS PHY PRS"
)

#: v3-ActCode, each sensitivity below another one, with the one above it (release 2018-08-12).
_ABOVE: Final = {
    "BH": "SPI", "MH": "SPI", "PSY": "SPI", "PSYTHPN": "SPI", "SUD": "SPI",
    "COGN": "BH", "DVD": "BH", "EMOTDIS": "BH", "ETHUD": "SUD", "OPIOIDUD": "SUD",
}  # fmt: skip

_HANDLING_CODES = (
    "ANONY AOD AUDIT AUDTR CPLYCC CPLYCD CPLYJPP CPLYOPP CPLYOSP CPLYPOL DECLASSIFYLABEL DEID "
    "DELAU DOWNGRDLABEL DRIVLABEL ENCRYPT ENCRYPTR ENCRYPTT ENCRYPTU HUAPRV LABEL MASK MINEC "
    "PERSISTLABEL PRIVMARK PSEUD REDACT UPGRDLABEL NOAUTH NOCOLLECT NODSCLCD NODSCLCDS "
    "NOINTEGRATE NOLIST NOMOU NOORGPOL NOPAT NOPERSISTP NORDSCLCD NORDSCLCDS NORDSCLW NORELINK "
    "NOREUSE NOVIP ORCON"
)

#: v3-ActCode, everything under _InformationSensitivityPolicy.
SENSITIVITY: Final = frozenset(_SENSITIVITY_CODES.split())
#: v3-ActCode, obligations and refrains: how to handle a record, not how confidential it is.
HANDLING: Final = frozenset(_HANDLING_CODES.split())


def protection(resources: Iterable[dict[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """The highest confidentiality (N, R or V) and the sorted sensitivity codes of resources."""
    level, labels = "N", set()
    for resource in resources:
        for system, code in _labels(resource):
            asked, label = _read(system, code)
            level = max(level, asked, key=_LEVELS.index)
            if label:
                labels.add(label)
    return level, tuple(sorted(labels))


def sensitivity_lineage(code: str) -> tuple[str, ...]:
    """A sensitivity and all that subsume it: what is said of SPI is said of OPIOIDUD too."""
    above = _ABOVE.get(code)
    return (code, *sensitivity_lineage(above)) if above else (code,)


def _read(system: str, code: str) -> tuple[str, str]:
    """(confidentiality, sensitivity code or empty) that one label asks for."""
    if system == CONFIDENTIALITY_SYSTEM:
        if code in _BY_TYPE:
            return "R", code
        return _LEVEL_OF.get(code, "V"), ""
    if system == ACT_CODE_SYSTEM:
        if code in SENSITIVITY:
            return "R", code
        return ("N", "") if code in HANDLING else ("V", "")
    if system == ACT_REASON_SYSTEM and code:
        return "N", ""  # a purpose of use restricts the purpose; the sharing rules see to it
    return "V", ""


def _labels(resource: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(system, code) of every security label of one resource; empty text for what is missing."""
    meta = resource.get("meta")
    found: list[Any] = []
    for value in (meta.get("security") if isinstance(meta, dict) else None,
                  resource.get("securityLabel")):  # fmt: skip
        found.extend(value if isinstance(value, list) else [value] if value is not None else [])
    for concept in found:
        codings = concept.get("coding", [concept]) if isinstance(concept, dict) else [None]
        for coding in codings if isinstance(codings, list) and codings else [None]:
            fields = coding if isinstance(coding, dict) else {}
            yield str(fields.get("system", "")), str(fields.get("code", ""))
    if resource.get("resourceType") == "Composition" and "confidentiality" in resource:
        yield CONFIDENTIALITY_SYSTEM, str(resource["confidentiality"])
