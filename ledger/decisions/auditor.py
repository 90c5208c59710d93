"""A decision in full, for auditors: everything that it rests on, and where that stands."""

from __future__ import annotations

from typing import Any, Final

from ledger.chain.values import to_json
from ledger.decisions import words
from ledger.decisions.catalogue import clauses, fields_of, said
from ledger.decisions.finding import Decision, Step
from ledger.decisions.times import exact_time
from ledger.decisions.words import Language, say

#: Headings, in both languages.
_HEADS: Final[dict[str, tuple[str, str]]] = {
    "decision": ("decision", "决定"),
    "outcome": ("outcome", "结果"),
    "proof": ("proof", "证明"),
    "block": ("block", "区块"),
    "requester": ("requester", "申请人"),
    "institution": ("acting for", "代表机构"),
    "subject": ("patient", "患者"),
    "record": ("record", "病历"),
    "holder": ("holder", "保管机构"),
    "purpose": ("purpose", "目的"),
    "rule": ("rule", "规则"),
    "silent": ("silent", "未表态"),
    "duty": ("obligation", "义务"),
    "tell": ("told", "告知对象"),
    "sealed": ("told from", "告知时间"),
    "review_by": ("review by", "审查期限"),
    "review": ("review", "审查"),
    "delete_by": ("delete by", "删除期限"),
    "expires": ("expires", "有效期至"),
    "released": ("released", "交付"),
    "received": ("received", "接收"),
    "gas": ("gas", "计算费用"),
    "events": ("events", "事件"),
}
_PROOFS: Final = {
    True: ("verified against the genesis", "已依据创世文件验证"),
    False: ("not verified: give the genesis", "未验证：请提供创世文件"),
}

Row = tuple[str, str]


def in_full(decision: Decision, language: Language) -> list[Row]:
    """Heading and text of everything about a decision; the heading is "" where it goes on."""
    place = 0 if language == "en" else 1
    fields = decision.fields
    rows: list[Row] = []

    def row(head: str, text: str) -> None:
        rows.append((_HEADS[head][place] if head else "", text))

    as_of = fields.get("as_of", {})
    row("decision", str(fields["id"]))
    row("outcome", f"{decision.outcome}, {fields['rule']}")
    row("proof", _PROOFS[decision.verified][place])
    row("block", f"{decision.height}, {exact_time(decision.time)}, access.{decision.method}")
    row(
        "requester",
        f"{fields['requester']} ({', '.join(fields['roles'])}){_since(as_of, 'requester')}",
    )
    if fields["institution"]:
        row("institution", f"{fields['institution']} ({decision.institution.said(language)})")
    row("subject", str(fields["subject"]))
    row("record", f"{fields['record'].hex()}{_since(as_of, 'record')}")
    row(
        "",
        f"{fields['kind']}, {fields.get('confidentiality', '?')}, sha-256 {fields['digest'].hex()}",
    )
    row("holder", f"{fields['holder']} ({decision.holder.said(language)})")
    case = f", {fields['case']}" if fields["case"] else ""
    row(
        "purpose", f"{fields['purpose']} ({say(words.PURPOSES, fields['purpose'], language)}){case}"
    )
    for step in decision.steps:
        mark = " *" if step is decision.winner else ""
        row("rule", f"{step.effect} {step.rule}{mark}")
        for text in _step_lines(step):
            row("", text)
    spoke = {f"{step.contract}:{step.rule}" for step in decision.steps}
    quiet = [asked for asked in fields["asked"] if asked not in spoke]
    for asked in quiet:
        row("silent", f"{asked}: {_why(asked, language)}".removesuffix(": "))
    for number, duty in enumerate(fields["obligations"]):
        row("" if number else "duty", f"{duty}: {say(words.DUTIES, duty, language)}")
    if fields.get("tell"):
        row("tell", ", ".join(say(words.AUDIENCES, name, language) for name in fields["tell"]))
    if fields.get("told", 0) > fields["time"]:
        row("sealed", exact_time(fields["told"]))
    for date in ("review_by", "delete_by", "expires"):
        if fields.get(date, 0):
            row(date, exact_time(fields[date]))
    if decision.review is not None:
        row("review", said({"status": decision.review.get("status", "?")}, language))
    for end in ("released", "received"):
        if fields.get(end) is not None:
            row(end, f"{exact_time(fields[end]['time'])}, {_matches(fields[end], place)}")
    row("gas", f"{decision.gas:,}")
    row("events", ", ".join(f"{event.contract}.{event.name}" for event in decision.events) or "-")
    return rows


def _why(asked: str, language: Language) -> str:
    """Why a rule had nothing to say, where that is known and rests on no facts."""
    contract, _, rule = asked.partition(":")
    clause = clauses(contract).get(rule, {}).get(language, "")
    return "" if fields_of(clause) else clause


def _since(as_of: dict[str, int], what: str) -> str:
    return f" @{as_of[what]}" if as_of.get(what) else ""


def _matches(end: dict[str, Any], place: int) -> str:
    if end["matches"]:
        return ("as anchored", "与存证一致")[place]
    return ("NOT as anchored", "与存证不符")[place]


def _step_lines(step: Step) -> list[str]:
    lines = [f"{step.contract} v{step.version}, {step.line}: {step.source}".rstrip(": ")]
    if step.facts:
        lines.append(", ".join(f"{name}={said(value, 'en')}" for name, value in step.facts.items()))
    if step.until:
        lines.append(f"until {exact_time(step.until)}")
    if step.duties:
        lines.append(f"duties {', '.join(step.duties)}")
    return lines


def as_json(decision: Decision) -> dict[str, Any]:
    """Everything about a decision, for programs."""
    return {
        "id": decision.fields["id"],
        "outcome": decision.outcome,
        "rule": decision.fields["rule"],
        "verified": decision.verified,
        "transaction": decision.transaction,
        "call": decision.call,
        "method": decision.method,
        "height": decision.height,
        "time": decision.time,
        "gas": decision.gas,
        "sealed": decision.sealed,
        "fields": to_json(dict(decision.fields)),
        "path": [
            {
                "effect": step.effect,
                "rule": step.rule,
                "contract": step.contract,
                "version": step.version,
                "line": step.line,
                "source": step.source,
                "until": step.until,
                "duties": list(step.duties),
                "facts": to_json(dict(step.facts)),
                "decided": step is decision.winner,
            }
            for step in decision.steps
        ],
        "review": None if decision.review is None else to_json(dict(decision.review)),
        "events": [
            {"contract": event.contract, "name": event.name, "fields": to_json(event.fields)}
            for event in decision.events
        ],
    }
