"""The system contracts that ship with this package, as source text.

A chain never reads these: its genesis carries the source of every contract. They are what a new
consortium starts from.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

#: The order in which a genesis initialises the contracts; governance comes first.
LIBRARY: Final = (
    "governance",
    "charter",
    "policy",
    "parameters",
    "registry",
    "enrolment",
    "authorities",
    "records",
    "consent",
    "guardianship",
    "delegation",
    "sensitive",
    "own_access",
    "referral",
    "recognition",
    "emergency",
    "consultation",
    "reading",
    "family_doctor",
    "chronic",
    "followup",
    "access",
    "directory",
    "enquiry",
    "identity",
    "pseudonyms",
    "journals",
    "evidence",
    "disclosures",
    "erasure",
    "corrections",
    "public_health",
    "research",
    "cross_sector",
    "insurance",
    "supervision",
    "custody",
    "processor",
    "staff_work",
)


def library_source(name: str) -> str:
    """The source of one contract of the library; raises `KeyError` for another name."""
    if name not in LIBRARY:
        raise KeyError(name)
    return (resources.files("ledger.contracts.library") / f"{name}.py").read_text("utf-8")


def library_sources() -> dict[str, str]:
    """All contracts of the library by name, in the order of their initialisation."""
    return {name: library_source(name) for name in LIBRARY}
