"""OperationOutcome: what a FHIR server says of what did not go as asked (R4 section 2.27)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

_TYPES = (
    "invalid structure required value invariant security login unknown expired forbidden "
    "suppressed processing not-supported duplicate multiple-matches not-found deleted too-long "
    "code-invalid extension too-costly business-rule conflict transient lock-error no-store "
    "exception timeout incomplete throttled informational"
)
#: Codes of http://hl7.org/fhir/issue-type that are used here, so that a misspelt one is noticed.
ISSUE_TYPES: Final = frozenset(_TYPES.split())
SEVERITIES: Final = ("fatal", "error", "warning", "information")

_MAX_TEXT: Final = 500
_MAX_ISSUES: Final = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say.

    ``code``: of http://hl7.org/fhir/issue-type. ``text``: for people; nothing of the request but
    names of elements and parameters. ``path``: FHIRPath of the element, if there is one.
    """

    code: str
    text: str
    path: str = ""
    severity: str = "error"

    def __post_init__(self) -> None:
        if self.code not in ISSUE_TYPES or self.severity not in SEVERITIES:
            raise ValueError(f"no such issue: {self.severity} {self.code}")


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The resource that says all of it; at most 100 issues, and one that says there were more."""
    said = list(issues)
    if len(said) > _MAX_ISSUES:
        more = Issue("incomplete", f"{len(said) - _MAX_ISSUES} more issues are not listed",
                     severity="information")  # fmt: skip
        said = [*said[:_MAX_ISSUES], more]
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in said]}


def _issue(issue: Issue) -> dict[str, Any]:
    found: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    text = _printable(issue.text)
    if text:
        found["diagnostics"] = text
    if issue.path:
        found["expression"] = [_printable(issue.path)]
    return found


def _printable(text: str) -> str:
    """FHIR strings have no control characters and are not empty."""
    clean = "".join(" " if ord(letter) < 32 or 127 <= ord(letter) < 160 else letter
                    for letter in text)  # fmt: skip
    clean = clean.encode(errors="replace").decode().strip()
    return clean if len(clean) <= _MAX_TEXT else clean[: _MAX_TEXT - 1] + "…"
