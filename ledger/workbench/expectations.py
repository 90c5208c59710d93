"""What tests of contracts expect of an answer, and what they say when it is another.

An answer is a decision of ``access`` or what a single contract's ``decide`` gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.workbench.chain import CallFailed
from ledger.workbench.excerpts import excerpt

Answer = Mapping[str, Any]

#: Effects of a single contract that permit by themselves.
_PERMITTING: Final = ("permit", "oblige")
_DENYING: Final = ("deny", "forbid")


def outcome_of(answer: Answer) -> str:
    """permit or deny of a decision; the effect of a single contract's answer."""
    return str(answer["outcome"] if "outcome" in answer else answer["effect"])


def rule_of(answer: Answer) -> str:
    """The rule that decided, as CONTRACT:RULE."""
    if "outcome" in answer:
        return str(answer["rule"])
    return f"{answer['contract']}:{answer['rule']}"


def _is_rule(answer: Answer, wanted: str) -> bool:
    rule = rule_of(answer)
    return wanted in (rule, rule.partition(":")[2])


def described(answer: Answer, sources: Mapping[str, str]) -> str:
    """An answer with the lines of the rules that spoke, for people who debug a contract."""
    lines = [f"{outcome_of(answer)} by {rule_of(answer)}"]
    for step in answer.get("path", (answer,)):
        lines.append(f"{step['contract']}:{step['line']} {step['effect']} {step['rule']}")
        if step["facts"]:
            facts = ", ".join(f"{name}={value!r}" for name, value in step["facts"].items())
            lines.append(f"  relied on {facts}")
        shown = excerpt(sources.get(step["contract"], ""), step["line"], 1)
        if shown:
            lines.append(shown)
    silent = [
        rule for rule in answer.get("asked", ())
        if all(rule != f"{step['contract']}:{step['rule']}" for step in answer["path"])
    ]  # fmt: skip
    if silent:
        lines.append(f"had nothing to say: {', '.join(silent)}")
    return "\n".join(lines)


class Refusal:
    """Around a call that a contract must refuse with a code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        __tracebackhide__ = True
        if kind is None:
            raise AssertionError(f"expected the refusal {self.code}, but the call succeeded")
        if not isinstance(error, CallFailed):
            return False
        if error.code != self.code:
            raise AssertionError(f"expected the refusal {self.code}, found {error}") from None
        return True


class Expectations:
    """The expectations of one test. ``sources``: the contracts of its chain, by name."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def permit(
        self,
        answer: Answer,
        rule: str = "",
        *,
        duties: Sequence[str] | None = None,
        until: int | None = None,
    ) -> Answer:
        """Expect a permit; returns it.

        Args:
            answer: a decision, or the answer of one contract.
            rule: the rule that must have decided, as RULE or CONTRACT:RULE.
            duties: what the recipient must be bound to, at least.
            until: when it must end, in milliseconds.
        """
        __tracebackhide__ = True
        self._outcome(answer, ("permit",) if "outcome" in answer else _PERMITTING, rule)
        bound = answer["obligations"] if "outcome" in answer else answer["duties"]
        missing = [duty for duty in duties or () if duty not in bound]
        if missing:
            self._fail(answer, f"expected the duties {', '.join(missing)} too, found {bound}")
        end = answer["expires"] if "outcome" in answer else answer["until"]
        if until is not None and end != until:
            self._fail(answer, f"expected it to end at {until}, found {end}")
        return answer

    def deny(self, answer: Answer, rule: str = "") -> Answer:
        """Expect a denial, by that rule if one is named; returns it."""
        __tracebackhide__ = True
        self._outcome(answer, ("deny",) if "outcome" in answer else _DENYING, rule)
        return answer

    def silence(self, answer: Answer, rule: str = "") -> Answer:
        """Expect that a contract has nothing to say; returns its answer."""
        __tracebackhide__ = True
        self._outcome(answer, ("none",), rule)
        return answer

    def refusal(self, code: str) -> Refusal:
        """Expect the call inside a ``with`` to fail with this code."""
        return Refusal(code)

    def _outcome(self, answer: Answer, wanted: Sequence[str], rule: str) -> None:
        __tracebackhide__ = True
        if outcome_of(answer) not in wanted:
            by = f" by {rule}" if rule else ""
            self._fail(answer, f"expected {' or '.join(wanted)}{by}")
        if rule and not _is_rule(answer, rule):
            self._fail(answer, f"expected {wanted[0]} by {rule}")

    def _fail(self, answer: Answer, expected: str) -> None:
        __tracebackhide__ = True
        raise AssertionError(f"{expected}, but it is\n{described(answer, self._sources)}")
