"""A decision as it is told to the patient whom it is about: one sentence, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.decisions import words
from ledger.decisions.catalogue import reason
from ledger.decisions.finding import Decision
from ledger.decisions.times import said_time
from ledger.decisions.words import Language, listed, say

_VOWELS: Final = tuple("aeiouAEIOU")


class Sealed(Exception):
    """The law has the patient told later; until then there is nothing to tell."""


def told(decision: Decision, language: Language) -> list[str]:
    """The sentence, then the sentences of what follows.

    Raises:
        Sealed: the date at which the patient is told has not come.
    """
    if decision.sealed:
        raise Sealed
    lines = [sentence(decision, language)]
    for follow in (_duties, _audience, _dates, _review, _handover):
        lines += follow(decision, language)
    return lines


def sentence(decision: Decision, language: Language) -> str:
    """Who wanted what for what, the outcome, and why."""
    fields = decision.fields
    permitted = decision.outcome == "permit"
    parts = {
        "when": said_time(decision.time, language),
        "who": _who(decision, language),
        "kind": say(words.CLASSES, fields["kind"], language),
        "holder": decision.holder.said(language),
        "purpose": say(words.PURPOSES, fields["purpose"], language),
        "why": reason(
            {
                "contract": decision.winner.contract,
                "rule": decision.winner.rule,
                "facts": decision.winner.facts,
                "until": decision.winner.until,
            },
            decision.outcome,
            language,
        ),
        "until": said_time(fields["expires"], language) if permitted else "",
    }
    if language == "zh":
        form = (
            "{when}，{who}因{purpose}申请查看您在{holder}的{kind}，已准许，有效期至{until}，原因：{why}。"
            if permitted
            else "{when}，{who}因{purpose}申请查看您在{holder}的{kind}，未获准许，原因：{why}。"
        )
    else:
        form = (
            "On {when}, {who} got permission until {until} to see your {kind} at {holder} "
            "for {purpose}, because {why}."
            if permitted
            else "On {when}, {who} asked to see your {kind} at {holder} for {purpose} "
            "and did not get permission, because {why}."
        )
    return form.format(**parts)


def _who(decision: Decision, language: Language) -> str:
    fields = decision.fields
    if fields["requester"] == fields["subject"]:
        return "you" if language == "en" else "您本人"
    if not fields["institution"]:
        return "somebody who asks for you" if language == "en" else "替您提出申请的人"
    roles = [say(words.ROLES, role, language) for role in fields["roles"]]
    place = decision.institution.said(language)
    if language == "zh":
        return f"{place}的{listed(roles, language)}（{fields['requester']}）"
    role = listed(roles, language)
    article = "an" if role.startswith(_VOWELS) else "a"
    return f"{article} {role} of {place} ({fields['requester']})"


_Follow = Callable[[Decision, Language], list[str]]


def _duties(decision: Decision, language: Language) -> list[str]:
    duties = [say(words.DUTIES, code, language) for code in decision.fields["obligations"]]
    if not duties:
        return []
    if language == "zh":
        return [f"对方必须：{listed(duties, language)}。"]
    return [f"Whoever received it has to {listed(duties, language)}."]


def _audience(decision: Decision, language: Language) -> list[str]:
    others = [
        say(words.AUDIENCES, name, language)
        for name in decision.fields.get("tell", [])
        if name != "patient"
    ]
    if not others:
        return []
    if language == "zh":
        return [f"除您之外，还须告知：{listed(others, language)}。"]
    return [f"Besides you, {listed(others, language)} must be told."]


def _dates(decision: Decision, language: Language) -> list[str]:
    fields, lines = decision.fields, []
    if fields.get("review_by", 0) and not (decision.review and decision.review.get("review")):
        when = said_time(fields["review_by"], language)
        lines.append(
            f"An auditor has to judge it by {when}."
            if language == "en"
            else f"审计员须在{when}前完成审查。"
        )
    if fields.get("delete_by", 0):
        when = said_time(fields["delete_by"], language)
        lines.append(
            f"The copy has to be deleted by {when}."
            if language == "en"
            else f"副本须在{when}前删除。"
        )
    return lines


def _review(decision: Decision, language: Language) -> list[str]:
    status = "" if decision.review is None else decision.review.get("status", "")
    said = {
        ("upheld", "en"): "An auditor has judged it and found it justified.",
        ("upheld", "zh"): "审计员已审查，认定合理。",
        ("abuse", "en"): "An auditor has judged it and found it an abuse.",
        ("abuse", "zh"): "审计员已审查，认定为滥用。",
    }.get((status, language))
    return [said] if said else []


def _handover(decision: Decision, language: Language) -> list[str]:
    fields = decision.fields
    if decision.outcome != "permit":
        return []
    released, received = fields.get("released"), fields.get("received")
    if released is None:
        text = "Nothing was handed over so far.", "目前尚未交付。"
    elif received is None:
        when = said_time(released["time"], language)
        text = f"It was handed over on {when}.", f"已于{when}交付。"
    elif received["matches"]:
        when = said_time(received["time"], language)
        text = f"It arrived unchanged on {when}.", f"已于{when}送达，内容一致。"
    else:
        when = said_time(received["time"], language)
        text = f"What arrived on {when} was not that record.", f"{when}送达的内容与该病历不符。"
    return [text[0 if language == "en" else 1]]
