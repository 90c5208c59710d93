"""Reading a scenario: a head of five lines, then one step a line, amid prose behind ``#``.

Strict: a line that is not understood is an error with its number and, where one is near, a hint.
Who and what is named in it is checked by `ledger.scenario.checking`, which knows the configuration.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ledger.scenario.language import (
    Act,
    Anchors,
    AsksFor,
    Denies,
    Does,
    Enrols,
    Expected,
    ExpectsAnswer,
    ExpectsEvent,
    Gives,
    Has,
    Later,
    Permits,
    Refuses,
    Scenario,
    Step,
)
from ledger.scenario.values import (
    Argument,
    Arguments,
    Listed,
    Mapped,
    Moment,
    Person,
    Reader,
    Reference,
    Unreadable,
    duration,
    tokens,
)

LONGEST_LINE: Final = 2_000
LARGEST_FILE: Final = 256 * 1024
HEAD: Final = ("title", "title_zh", "source", "shows", "trap")
#: What the second part of a line about somebody can be.
VERBS: Final = ("does", "asks", "breaks", "enrols", "affiliates", "permits", "denies", "withdraws")
_LEVELS: Final = ("N", "R", "V")


class InvalidScenario(ValueError):
    """A line that says nothing we understand. ``line`` counts from 1."""

    def __init__(self, name: str, line: int, what: str) -> None:
        super().__init__(f"{name}, line {line}: {what}")
        self.line = line


def load_scenario(path: Path) -> Scenario:
    """Read the scenario in a file; raises `InvalidScenario`, and `OSError` when it is not there."""
    with path.open("rb") as stream:
        raw = stream.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise InvalidScenario(path.stem, 1, f"larger than {LARGEST_FILE} bytes")
    try:
        return read_scenario(raw.decode("utf-8"), path.stem)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidScenario(path.stem, line, "not UTF-8 text") from None


def read_scenario(text: str, name: str = "scenario") -> Scenario:
    """Read a scenario; raises `InvalidScenario` for the first line that is not understood."""
    head: dict[str, str] = {}
    steps: list[Step] = []
    prose: list[str] = []
    number = 0
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise InvalidScenario(name, number, "longer than a line may be")
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            if stripped.strip("# "):
                prose.append(stripped.lstrip("#").strip())
            continue
        try:
            if not steps and _is_head(stripped, head):
                prose.clear()
                continue
            missing = [field for field in HEAD if field not in head]
            if missing:
                raise Unreadable(f"before the first step: {missing[0]}")
            steps.append(Step(number, stripped, read_act(stripped), tuple(prose)))
        except Unreadable as error:
            raise InvalidScenario(name, number, str(error)) from None
        prose.clear()
    if not steps:
        raise InvalidScenario(name, max(number, 1), "no step in it")
    return Scenario(
        name=name,
        title=head["title"],
        title_zh=head["title_zh"],
        source=tuple(head["source"].replace(",", " ").split()),
        shows=head["shows"],
        trap=head["trap"],
        steps=tuple(steps),
        epilogue=tuple(prose),
    )


def _is_head(line: str, head: dict[str, str]) -> bool:
    word, _, rest = line.partition(" ")
    if word not in HEAD:
        return False
    if not rest.strip():
        raise Unreadable(f"{word} of what?")
    if word in head:
        raise Unreadable(f"{word} is given twice")
    head[word] = rest.strip()
    return True


def read_act(line: str) -> Act:
    """One step; raises `Unreadable`."""
    reader = Reader(tokens(line))
    if reader.empty:
        raise Unreadable("nothing in this line")
    for word, read in _BY_FIRST_WORD.items():
        if reader.take(word):
            act = read(reader)
            break
    else:
        act = _by_somebody(reader)
    reader.end()
    return act


# --- lines that begin with what they are ----------------------------------------------------------


def _later(reader: Reader) -> Act:
    number = reader.word("how long")
    unit = reader.word("a unit of time")
    length = duration(number, unit)
    if length <= 0:
        raise Unreadable("time does not stand still or go back")
    return Later(length)


def _record(reader: Reader) -> Act:
    record = reader.word("a name for the record")
    reader.demand("of")
    subject = reader.word("whose record it is")
    reader.demand("at")
    holder = reader.word("the institution that holds it")
    given = dict(reader.arguments())
    known = ("kind", "level", "labels", "taken", "by")
    _only(given, known)
    level = given.get("level", "N")
    if level not in _LEVELS:
        raise Unreadable(f"level {level!r} is not one of N, R, V")
    taken = given.get("taken", Moment(0))
    if not isinstance(taken, Moment) or taken.offset > 0:
        raise Unreadable("taken=-3days: when it was made, before now")
    labels = str(given.get("labels", ""))
    if "kind" not in given:
        raise Unreadable("kind=…: what kind of record it is")
    return Anchors(
        record,
        subject,
        holder,
        kind=str(given["kind"]),
        level=str(level),
        labels=tuple(sorted(label for label in labels.split("+") if label)),
        taken=-taken.offset,
        officer=str(given.get("by", "")),
    )


def _expect(reader: Reader) -> Act:
    told = not reader.take("no")
    if reader.take("event"):
        contract, name = _dotted(reader, "an event as contract.name")
        return ExpectsEvent(contract, name, reader.arguments(), told)
    if not told:
        raise Unreadable("expected 'event' after 'expect no'")
    contract, method = _dotted(reader, "a question as contract.method")
    arguments = reader.arguments()
    if reader.take("has"):
        return ExpectsAnswer(contract, method, arguments, Has(_some(reader)))
    reader.demand("->")
    return ExpectsAnswer(contract, method, arguments, Gives(reader.value()))


# --- lines about somebody -------------------------------------------------------------------------


def _by_somebody(reader: Reader) -> Act:
    signers = [reader.word("who does something")]
    while reader.take("with"):
        signers.append(reader.word("who signs as well"))
    institution = reader.word("the institution acted for") if reader.take("at") else ""
    for verb, read in _BY_VERB.items():
        if reader.take(verb):
            return read(reader, tuple(signers), institution)
    word = reader.word("what is done")
    near = difflib.get_close_matches(word, [*VERBS, "at", "with", *_BY_FIRST_WORD, *HEAD], n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; one of {', '.join(VERBS)}"
    raise Unreadable(f"nobody can {word!r}{hint}")


def _does(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    contract, method = _dotted(reader, "what is done as contract.method")
    arguments = reader.arguments()
    if institution:
        if any(name == "institution" for name, _value in arguments):
            raise Unreadable("the institution is given twice")
        arguments = (("institution", institution), *arguments)
    result = reader.word("a name for the result") if reader.take("as") else ""
    return Does(signers, contract, method, arguments, result, _outcome(reader))


def _asks(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    reader.demand("for")
    record = reader.word("which record")
    reader.demand("for")
    purpose = reader.word("the purpose")
    case = reader.word("the case") if reader.take("in", "case") else ""
    shows = reader.take("showing", "labels")
    result = reader.word("a name for the request") if reader.take("as") else ""
    return AsksFor(
        _alone(signers),
        institution,
        record,
        purpose,
        _decision(reader),
        case=case,
        shows_labels=shows,
        result=result,
    )


def _breaks(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    reader.demand("the", "glass", "for")
    record = reader.word("which record")
    reader.demand("because")
    reason = reader.word("a coded reason")
    result = reader.word("a name for the request") if reader.take("as") else ""
    return AsksFor(
        _alone(signers),
        institution,
        record,
        "BTG",
        _decision(reader),
        emergency=reason,
        result=result,
    )


def _enrols(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    label = reader.word("a label for the person")
    if not institution:
        raise Unreadable("somebody at INSTITUTION enrols")
    reader.demand("as")
    roles = reader.words_until("without", "refuses")
    if not roles:
        raise Unreadable("expected at least one role")
    with_key = not reader.take("without", "key")
    return Enrols(signers, label, institution, tuple(roles), with_key, _outcome(reader))


def _affiliates(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    label = reader.word("whom")
    if not institution:
        raise Unreadable("somebody at INSTITUTION affiliates")
    reader.demand("as")
    roles = reader.words_until("refuses")
    arguments: Arguments = (
        ("id", Person(label)),
        ("institution", institution),
        ("roles", Listed(tuple(roles))),
    )
    return Does(signers, "registry", "affiliate", arguments, "", _outcome(reader))


def _permits(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    return _declares(reader, signers, institution, "grant")


def _denies(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    return _declares(reader, signers, institution, "deny")


def _declares(reader: Reader, signers: tuple[str, ...], institution: str, method: str) -> Act:
    """``aygul permits purposes=[TREAT] institutions=[minhang-1] as c1``; on paper, ``clerk with
    nurse permits … as c1 for aygul on form "…"``."""
    if institution:
        raise Unreadable("a patient permits and denies for no institution")
    scope = Mapped(reader.arguments())
    reader.demand("as")
    identity = reader.word("a name for the consent")
    subject = reader.word("whose consent") if reader.take("for") else signers[0]
    arguments: Arguments = (("id", identity), ("subject", Person(subject)), ("scope", scope))
    return Does(signers, "consent", method, arguments + _form(reader), "", _outcome(reader))


def _withdraws(reader: Reader, signers: tuple[str, ...], institution: str) -> Act:
    if institution:
        raise Unreadable("a patient withdraws for no institution")
    identity = reader.word("which consent")
    arguments: Arguments = (("id", identity), *_form(reader))
    return Does(signers, "consent", "withdraw", arguments, "", _outcome(reader))


def _form(reader: Reader) -> Arguments:
    if not reader.take("on", "form"):
        return ()
    return (("form", Reference("form", (reader.word("what the form says"),))),)


# --- what is expected -----------------------------------------------------------------------------


def _decision(reader: Reader) -> Expected:
    if reader.take("refuses"):
        return Refuses(reader.word("a code"))
    reader.demand("->")
    if reader.take("deny"):
        return Denies(_rule(reader))
    reader.demand("permit")
    rule = _rule(reader)
    duties = None
    if reader.take("duties"):
        duties = tuple(sorted(reader.words_until("until")))
    until = reader.value() if reader.take("until") else None
    return Permits(rule, duties, until)


def _outcome(reader: Reader) -> Expected:
    if reader.take("refuses"):
        return Refuses(reader.word("a code"))
    if reader.take("has"):
        return Has(_some(reader))
    return Gives(reader.value()) if reader.take("->") else None


def _some(reader: Reader) -> Arguments:
    entries = reader.arguments()
    if not entries:
        raise Unreadable("has what? name=value")
    return entries


def _rule(reader: Reader) -> str:
    rule = reader.word("a rule as contract:rule")
    if rule.count(":") != 1:
        raise Unreadable(f"{rule!r} is not a rule such as consent:patient-permits")
    return rule


def _dotted(reader: Reader, what: str) -> tuple[str, str]:
    word = reader.word(what)
    contract, dot, method = word.partition(".")
    if not dot or not contract or not method:
        raise Unreadable(f"{word!r}: expected {what}")
    return contract, method


def _alone(signers: Sequence[str]) -> str:
    if len(signers) > 1:
        raise Unreadable("one person asks for a record, alone")
    return signers[0]


def _only(given: dict[str, Argument], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; one of {', '.join(known)}"
            raise Unreadable(f"a record has no {name!r}{hint}")


_BY_FIRST_WORD: Final[dict[str, Callable[[Reader], Act]]] = {
    "later": _later,
    "record": _record,
    "expect": _expect,
}
_BY_VERB: Final[dict[str, Callable[[Reader, tuple[str, ...], str], Act]]] = {
    "does": _does,
    "asks": _asks,
    "breaks": _breaks,
    "enrols": _enrols,
    "affiliates": _affiliates,
    "permits": _permits,
    "denies": _denies,
    "withdraws": _withdraws,
}
