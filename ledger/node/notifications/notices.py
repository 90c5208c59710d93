"""Which events a patient is told of, how urgent that is, and in which words.

Everything follows from the chain: a notice is an event that names the patient. A decision that is
sealed names nobody until its date, and so nobody is told (docs/decisions/0034); on that day the
chain has an event that does.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ledger.chain import limits
from ledger.chain.codec import Malformed, decode_value
from ledger.node.answers import LedgerEvent
from ledger.node.listening.parties import Read
from ledger.node.listening.selection import Selection

PATIENT: Final = "patient"


class Topic(NamedTuple):
    """What notices of one sort have in common. ``name`` never changes; the texts are for people
    who open the app, never for a message that leaves the node."""

    name: str
    urgent: bool
    english: str
    chinese: str


_EMERGENCY = Topic(
    "emergency", True,
    "A physician opened your record in an emergency.", "医生在紧急情况下查看了您的病历。",
)  # fmt: skip
_EXPERT = Topic(
    "emergency-expert", True,
    "An expert was called in while your record was open in an emergency.",
    "紧急情况下，一位专家受邀参与查看您的病历。",
)  # fmt: skip
_KEY = Topic(
    "key", True,
    "A key that signs for you was changed.",
    "代表您签名的密钥已更改。",
)  # fmt: skip
_PERMITTED = Topic(
    "access", False,
    "Access to one of your records was permitted.",
    "您的一份病历已获准查看。",
)  # fmt: skip
_DENIED = Topic(
    "access-denied", False,
    "Access to one of your records was refused.",
    "对您一份病历的查看请求被拒绝。",
)  # fmt: skip
_RELEASED = Topic(
    "release", False,
    "One of your records was handed over.",
    "您的一份病历已被提供。",
)  # fmt: skip
_ASKED = Topic(
    "enquiry", False,
    "Somebody asked which records of yours there are.",
    "有人查询了您有哪些病历。",
)  # fmt: skip
_REVIEW = Topic(
    "review", False,
    "There is news of the review of an emergency access.",
    "紧急查看的复核有新进展。",
)  # fmt: skip
_CONSENT = Topic(
    "consent", False,
    "A consent of yours was changed.",
    "您的授权发生了变化。",
)  # fmt: skip
_REPORT = Topic(
    "report", False,
    "Something was reported about you as the law requires.",
    "依法对您的情况作了报告。",
)  # fmt: skip
_SHARED = Topic(
    "department", False,
    "Data of yours may go to another department.",
    "您的数据可能提供给其他部门。",
)  # fmt: skip
_VOICE = Topic(
    "representative", False,
    "Who may speak for you was changed.",
    "可代表您的人发生了变化。",
)  # fmt: skip
_IDENTITY = Topic(
    "identity", False,
    "Your entry in the register was changed.",
    "您的登记信息已更改。",
)  # fmt: skip

TOPICS: Final[dict[tuple[str, str], Topic]] = {
    ("emergency", "glass_broken"): _EMERGENCY,
    ("emergency", "expert_called_in"): _EXPERT,
    ("registry", "key_rotated"): _KEY,
    ("registry", "key_added"): _KEY,
    ("registry", "key_dropped"): _KEY,
    ("registry", "revoked"): _KEY,
    ("access", "decided"): _PERMITTED,
    ("access", "released"): _RELEASED,
    ("enquiry", "asked"): _ASKED,
    ("emergency", "reviewed"): _REVIEW,
    ("emergency", "review_overdue"): _REVIEW,
    ("consent", "declared"): _CONSENT,
    ("consent", "withdrawn"): _CONSENT,
    ("public_health", "reported"): _REPORT,
    ("public_health", "report_told"): _REPORT,
    ("cross_sector", "shared_with_department"): _SHARED,
    ("cross_sector", "order_told"): _SHARED,
    ("delegation", "delegate_entered"): _VOICE,
    ("delegation", "delegate_ended"): _VOICE,
    ("guardianship", "guardian_entered"): _VOICE,
    ("guardianship", "guardian_ended"): _VOICE,
    ("registry", "died"): _IDENTITY,
    ("registry", "lives"): _IDENTITY,
}


class Notice(NamedTuple):
    """One thing that a patient is told."""

    subject: str
    topic: Topic
    event: LedgerEvent


def _names(*, urgent: bool | None) -> frozenset[str]:
    return frozenset(
        f"{contract}.{name}"
        for (contract, name), topic in TOPICS.items()
        if urgent is None or topic.urgent is urgent
    )


def heard(subject: str | None = None, *, urgent: bool | None = None) -> Selection:
    """The events that can be notices: of one patient or all, urgent, ordinary, or both (None)."""
    return Selection(names=_names(urgent=urgent), person=subject)


def notice_of(event: LedgerEvent, read: Read) -> Notice | None:
    """The notice that an event is, if it is one; ``read``: the state after its block."""
    topic = TOPICS.get((event.contract, event.name))
    subject = event.fields.get("subject", event.fields.get("person"))
    if topic is None or not isinstance(subject, str) or not subject:
        return None
    if topic is _PERMITTED:
        if not _tells_her(event):
            return None  # what she did herself
        if _entry(f"access/decisions/{event.fields.get('request')}", read).get("purpose") == "BTG":
            return None  # told as an emergency already
        if event.fields.get("outcome") != "permit":
            topic = _DENIED
    if topic is _ASKED and not _tells_her(event):
        return None
    return Notice(subject, topic, event)


def _tells_her(event: LedgerEvent) -> bool:
    tell = event.fields.get("tell")
    return isinstance(tell, list | tuple) and PATIENT in tell


def home_of(subject: str, read: Read) -> str:
    """The institution that entered a patient and looks after telling her; empty for nobody's, and
    for people of staff."""
    person = _entry(f"registry/people/{subject}", read)
    home = person.get("home")
    roles = [role for given in person.get("affiliations", ()) for role in given["roles"]]
    return home if isinstance(home, str) and PATIENT in roles else ""


def _entry(key: str, read: Read) -> dict[str, Any]:
    name = key.encode(errors="replace")
    raw = read(name) if len(name) <= limits.MAX_STATE_KEY_BYTES else None
    if raw is None:
        return {}
    try:
        found = decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}
