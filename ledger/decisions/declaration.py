"""What a patient is about to sign, in plain words, read from the bytes that she signs.

Nothing is left out: whatever stands in the calls of a transaction and has no words here makes the
sentence say so, and `Said.whole` false. The page of patients computes the same in the browser
(`ledger/api/pages/declaration.js`), so that it need not believe the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ledger.chain.transaction import Body, Call
from ledger.crypto.hashing import HASH_SIZE
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
    "ask": (
        "You ask {holder} to destroy its record ({kind}) ending in {record} as soon as no law "
        "keeps it. From now on nobody sees it but you and whom the law obliges the holder to "
        "serve; in an emergency it is closed too.",
        "您申请{holder}在法定保存期满后销毁其病历（{kind}，末尾为 {record}）。"
        "自现在起，除您本人及法律强制要求外，任何人均不得查看，急救时亦然。",
    ),
    "take_back": (
        "You take back the request {id} to destroy a record. It can be seen as before.",
        "您撤回销毁病历的申请 {id}。该病历恢复为可按原规则查看。",
    ),
    "dispute": (
        "You say that the record ({kind}) of {holder} ending in {record} is wrong: {reason}. "
        "Your words have the fingerprint ending in {statement}.",
        "您对{holder}的病历（{kind}，末尾为 {record}）提出异议：{reason}。您的陈述之指纹末尾为 "
        "{statement}。",
    ),
    "withdraw_dispute": (
        "You withdraw the dispute {id}; it stands beside the record no more.",
        "您撤回异议 {id}；该病历旁不再注明异议。",
    ),
    "other": (
        "Something that cannot be put in plain words: {call}. Do not sign it.",
        "无法用通俗语言说明的内容：{call}。请勿签署。",
    ),
}
#: Why a record is disputed.
REASONS: Final[dict[str, Pair]] = {
    "wrong-patient": ("it is of somebody else", "并非本人病历"),
    "wrong-content": ("what it says is not true", "内容不实"),
    "incomplete": ("something is missing", "内容不完整"),
    "outdated": ("it is out of date", "内容已过时"),
    "other": ("another reason", "其他原因"),
}
#: Calls whose sentence is not named by their method.
_NAMED: Final = {("corrections", "withdraw"): "withdraw_dispute"}
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
    subject = _subject(given)
    parts = _parts(call, given) if isinstance(subject, str) else None
    if parts is None:
        full = {"call": f"{call.contract}.{call.method}"}
        return Said(*_both("other", full, full), str(subject), whole=False)
    name = _NAMED.get((call.contract, call.method), call.method)
    return Said(*_both(name, parts["en"], parts["zh"]), subject, whole=True)


def _subject(given: dict[str, Any]) -> Any:
    """Whom a call is about: it says so, or the pointer in it."""
    pointer = given.get("pointer")
    if "subject" not in given and isinstance(pointer, dict):
        return pointer.get("subject", "")
    return given.get("subject", "")


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
        case "erasure", "ask":
            return _record(given, {"pointer", "proof"})
        case "corrections", "dispute":
            return _disputed(given)
        case "erasure", "take_back":
            plain, allowed = {"id": given.get("erasure")}, {"erasure"}
        case "corrections", "withdraw":
            plain, allowed = {"id": given.get("dispute")}, {"dispute"}
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


def _record(given: dict[str, Any], names: set[str]) -> dict[Language, dict[str, str]] | None:
    """Which record a call is about, if it has these arguments and no others."""
    pointer = given.get("pointer")
    if set(given) != names or not isinstance(pointer, dict):
        return None
    holder, kind, digest = (pointer.get(name) for name in ("holder", "kind", "digest"))
    if not isinstance(holder, str) or not isinstance(kind, str) or not holder:
        return None
    if not isinstance(digest, bytes) or len(digest) != HASH_SIZE:
        return None
    ending = digest.hex()[-8:]
    return {
        language: {"holder": holder, "kind": say(words.CLASSES, kind, language), "record": ending}
        for language in ("en", "zh")
    }


def _disputed(given: dict[str, Any]) -> dict[Language, dict[str, str]] | None:
    found = _record(given, {"pointer", "proof", "reason", "statement"})
    reason, statement = given.get("reason"), given.get("statement")
    if found is None or not isinstance(reason, str) or reason not in REASONS:
        return None
    if not isinstance(statement, bytes) or len(statement) != HASH_SIZE:
        return None
    ending = statement.hex()[-8:]
    return {
        language: {**parts, "reason": say(REASONS, reason, language), "statement": ending}
        for language, parts in found.items()
    }


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
