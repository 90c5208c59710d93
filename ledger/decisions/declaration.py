"""What a patient is about to sign, in plain words, read from the bytes that she signs.

Nothing is left out: whatever stands in the calls of a transaction and has no words here makes the
sentence say so, and `Said.whole` false. The page of patients computes the same in the browser
(`ledger/api/pages/declaration.js`), so that it need not believe the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ledger.chain.transaction import Body, Call
from ledger.decisions import words
from ledger.decisions.times import looks_like_time, said_time
from ledger.decisions.words import Language, Pair, listed, say

_LISTS: Final = ("institutions", "kinds", "purposes")
_SCOPE: Final = {*_LISTS, "confidentiality", "end"}

#: What a permit reaches, by its confidentiality.
REACHES: Final[dict[str, Pair]] = {
    "N": ("ordinary", "普通"),
    "R": ("ordinary and restricted", "普通及限制级"),
    "V": ("all, also very restricted,", "全部（包括高度限制级）"),
}
ANYBODY: Final[Pair] = ("every institution of the consortium", "联盟内所有机构")
ANYTHING: Final[Pair] = ("every kind", "所有种类")
ANY_PURPOSE: Final[Pair] = ("any purpose", "任何")

SENTENCES: Final[dict[str, Pair]] = {
    "grant": (
        "You permit {who} to see {reach} records ({what}) for {why}, {until}.",
        "您允许{who}因{why}查看{reach}的病历（{what}），{until}。",
    ),
    "deny": (
        "You forbid {who} to see records ({what}) for {why}, {until}.",
        "您禁止{who}因{why}查看病历（{what}），{until}。",
    ),
    "withdraw": (
        "You take back the consent {id}. What it permitted ends with the next block.",
        "您撤回授权 {id}。它所允许的查看自下一区块起终止。",
    ),
    "cancel": (
        "You stop the replacement of your key that a clinic began.",
        "您终止医疗机构为您发起的密钥更换。",
    ),
    "add_key": (
        "You add a device: the key ending in {key}.",
        "您添加一台设备：密钥末尾为 {key}。",
    ),
    "complete": (
        "You register this device, with the key ending in {key}.",
        "您登记本设备，密钥末尾为 {key}。",
    ),
    "recover": (
        "You ask for the replacement of a lost key.",
        "您申请更换遗失的密钥。",
    ),
    "other": (
        "Something that cannot be put in plain words: {call}. Do not sign it.",
        "无法用通俗语言说明的内容：{call}。请勿签署。",
    ),
}
FOREVER: Final[Pair] = ("until you take it back", "直至您撤回")
UNTIL: Final[Pair] = ("until {time}", "有效期至{time}")


class Said(NamedTuple):
    """One call in both languages. ``subject``: whom it is about. ``whole``: whether the words say
    everything that is in it."""

    en: str
    zh: str
    subject: str
    whole: bool


def said(body: Body) -> list[Said]:
    """What a transaction does, call by call."""
    return said_of(body.calls)


def said_of(calls: Iterable[Call]) -> list[Said]:
    """What calls do, one by one."""
    return [_said(call) for call in calls]


def _said(call: Call) -> Said:
    given = call.arguments
    subject = given.get("subject", "")
    parts = _parts(call, given) if isinstance(subject, str) else None
    if parts is None:
        name = {"call": f"{call.contract}.{call.method}"}
        return Said(*_both("other", name, name), str(subject), whole=False)
    return Said(*_both(call.method, parts["en"], parts["zh"]), subject, whole=True)


def _both(name: str, en: Mapping[str, str], zh: Mapping[str, str]) -> tuple[str, str]:
    return SENTENCES[name][0].format(**en), SENTENCES[name][1].format(**zh)


def _parts(call: Call, given: dict[str, Any]) -> dict[Language, dict[str, str]] | None:
    """What goes into the sentence; None where something has no words."""
    names = set(given)
    match call.contract, call.method:
        case "consent", ("grant" | "deny"):
            scope = given.get("scope")
            if names != {"id", "subject", "scope"} or not isinstance(scope, dict):
                return None
            if not _plain(scope, call.method):
                return None
            return {language: _scope(scope, language) for language in ("en", "zh")}
        case "consent", "withdraw":
            plain = {"id": given.get("id")}
            allowed = {"id"}
        case "enrolment", ("cancel" | "recover"):
            plain, allowed = {}, {"subject"}
        case "registry", "add_key":
            plain, allowed = {"key": _ending(given.get("key"))}, {"key"}
        case "enrolment", "complete":
            plain, allowed = {"key": _ending(given.get("key"))}, {"subject", "key"}
        case _:
            return None
    if names != allowed or not all(isinstance(item, str) and item for item in plain.values()):
        return None
    found = {name: str(item) for name, item in plain.items()}
    return {"en": found, "zh": found}


def _ending(key: Any) -> str:
    return key[-8:] if isinstance(key, str) else ""


def _plain(scope: dict[str, Any], method: str) -> bool:
    """Whether a scope has only parts for which there are words."""
    if not set(scope) <= _SCOPE:
        return False
    texts = all(
        isinstance(scope.get(name, []), list)
        and all(isinstance(item, str) for item in scope.get(name, []))
        for name in _LISTS
    )
    ends = scope.get("end", 0)
    # A denial says with its confidentiality from where on it holds, which nobody asks for here.
    reach = scope.get("confidentiality", "N")
    return (
        texts
        and (ends == 0 or looks_like_time(ends))
        and (reach in REACHES if method == "grant" else "confidentiality" not in scope)
    )


def _scope(scope: dict[str, Any], language: Language) -> dict[str, str]:
    at = 0 if language == "en" else 1
    kinds = [say(words.CLASSES, kind, language) for kind in scope.get("kinds", [])]
    purposes = [say(words.PURPOSES, purpose, language) for purpose in scope.get("purposes", [])]
    end = scope.get("end", 0)
    return {
        "who": listed(scope.get("institutions", []), language)
        if scope.get("institutions")
        else ANYBODY[at],
        "reach": REACHES[scope.get("confidentiality", "N")][at],
        "what": listed(kinds, language) if kinds else ANYTHING[at],
        "why": listed(purposes, language) if purposes else ANY_PURPOSE[at],
        "until": UNTIL[at].format(time=said_time(end, language)) if end else FOREVER[at],
    }
