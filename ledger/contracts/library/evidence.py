"""Evidence: which validators broke the rules of the consensus, shown by what they signed.

Two signed statements that contradict each other convict by themselves. What only re-execution or the
validators of an old height can judge is stated by validators that refused it: with more of them than
may be faulty, an honest one is among them. A finding names the institution that answers for the key.
"""

from ledger.contracts.prelude import (
    Map, Value, call, chain, digest, emit, encode, export, height, now, query, require, signers,
    transaction, verify_signature,
)

MESSAGE_TAG = b"health-ledger/message\x00"
HEADER_TAG = b"health-ledger/header\x00"
CERTIFICATE_TAG = b"health-ledger/prepared-certificate\x00"
KINDS = ["pre-prepare", "prepare", "commit", "view-change"]
# What validators state together, because it takes more than the statement to see it.
STATED = ["invalid-proposal", "unproven-prepared"]

# Older statements are no evidence any more: nobody has to keep every key and vote for ever at hand.
OLDEST = 100000
MAX_FINDINGS = 1000
# What one validator can have stated without enough others agreeing; the oldest is forgotten.
MAX_OPEN = 8
MAX_REASON = 64
REASON_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."

findings = Map("findings")
finding_count = Value("finding_count")
# What a finding is about → its number; whoever reports it again gets that number.
known = Map("known")
tally = Map("tally")
statements = Map("statements")
open_statements = Map("open")


@export
def report(key: str, first: list, second: list) -> int:
    """Anybody registered shows two statements of one key that contradict each other.

    A statement is what `docs/protocol/consensus.md` says: kind, height, view, subject, node and
    signature. Returns the number of the finding, an earlier one if there is one.
    """
    reporter = registered()
    require(len(first) == 6 and len(second) == 6, "bad_statement", "a statement has six parts")
    require(first[1] == second[1], "no_contradiction", "statements about two heights")
    holder = holder_at(key, first[1])
    rule, phase, view = contradiction(first, second)
    require(rule != "", "no_contradiction", "an honest validator could have signed both")
    check_signature(key, first)
    check_signature(key, second)
    about = [key, first[1], view, phase]
    return found(about, rule, holder, reporter, [])


@export
def state(rule: str, key: str, statement: list, about: list, reason: str) -> int:
    """A validator's node states that it refused what another one signed, and why.

    ``about``: the header of a proposal, or the certificate that a VIEW-CHANGE claims, each as the
    list of its parts. Returns the number of the finding, or 0 while too few have stated it.
    """
    witness = registered()
    require(rule in STATED, "unknown_rule", "this is not stated but reported")
    require(is_reason(reason), "bad_reason", "a reason is a short code")
    require(len(statement) == 6, "bad_statement", "a statement has six parts")
    holder = holder_at(key, statement[1])
    members = call("governance", "validating")
    nodes = [member["node"] for member in members]
    require(witness in nodes, "not_a_validator", "only validators that refused it state this")
    require(witness != holder["node"], "own_case", "nobody convicts the own node")
    check_subject(rule, statement, about, holder["node"])
    check_signature(key, statement)
    place = [key, statement[1], statement[2], rule]
    if (key, statement[1], statement[2], rule) in known:
        return known[(key, statement[1], statement[2], rule)]
    witnesses = [other for other in stated(place) if other["node"] != witness]
    institution = [member["institution"] for member in members if member["node"] == witness][0]
    witnesses.append({"node": witness, "institution": institution, "reason": reason})
    present = [other for other in witnesses if other["node"] in nodes]
    if not enough(present, members, holder["institution"]):
        remember(place, witnesses, witness)
        return 0
    for other in witnesses:
        forget(place, other["node"])
    if (key, statement[1], statement[2], rule) in statements:
        del statements[(key, statement[1], statement[2], rule)]
    return found(place, rule, holder, witness, present)


# --- Questions ---------------------------------------------------------------------------------


@query
def finding(number: int) -> dict | None:
    """A finding, or nothing."""
    return findings.get(number)


@query
def listed(first: int, count: int) -> list:
    """Findings by number from the first on, at most a hundred at once."""
    last = min(first + min(count, 100), finding_count.get(0) + 1)
    return [findings[number] for number in range(max(first, 1), max(last, 1))]


# --- What convicts -----------------------------------------------------------------------------


def contradiction(first: list, second: list) -> tuple:
    """Rule, phase and view of what two statements about one height break; empty if nothing."""
    if first[0] == second[0]:
        if first[2] == second[2] and first[3] != second[3]:
            return "equivocation", first[0], first[2]
        return "", "", 0
    if first[0] == "commit" and second[0] == "view-change" and hides(second, first):
        return "amnesia", "amnesia", first[2]
    if first[0] == "view-change" and second[0] == "commit" and hides(first, second):
        return "amnesia", "amnesia", second[2]
    return "", "", 0


def hides(change: list, commit: list) -> bool:
    """Whether a VIEW-CHANGE claims less than its sender knew when it committed in a lower view."""
    if commit[2] >= change[2]:
        return False
    claim = change[3]
    if claim is None or claim[0] < commit[2]:
        return True
    return claim[0] == commit[2] and claim[1] != commit[3]


def check_subject(rule: str, statement: list, about: list, accused: str) -> None:
    """What is stated to be bad is what the accused signed, and its own doing."""
    kind, at, view, subject = statement[0], statement[1], statement[2], statement[3]
    if rule == "invalid-proposal":
        require(kind == "pre-prepare" and subject == digest(HEADER_TAG + encode(about)), "not_about")
        # Whoever hands on a block of an earlier view did what the protocol asks.
        require(about[2] == at and about[3] == view and about[5] == accused, "not_about")
    else:
        require(kind == "view-change" and subject is not None, "not_about")
        require(subject[2] == digest(CERTIFICATE_TAG + encode(about)), "not_about")


def check_signature(key: str, statement: list) -> None:
    kind, at, view, subject, signature = statement[0], statement[1], statement[2], statement[3], statement[5]
    require(kind in KINDS, "bad_statement", "no statement of the consensus")
    signed = digest(MESSAGE_TAG + encode([kind, chain(), at, view, subject]))
    require(verify_signature(key, signed, signature), "not_signed", "the key did not sign that here")


def holder_at(key: str, at: int) -> dict:
    """Whose key it was at a height."""
    require(at <= height(), "not_yet", "a height that has not come")
    require(at > height() - OLDEST, "too_old", "more than 100,000 blocks ago")
    holder = call("governance", "key_holder", key=key)
    require(holder is not None, "unknown_key", "no node ever had that key")
    ended = holder["until"] != 0 and holder["until"] <= at
    require(holder["from"] <= at and not ended, "key_not_valid", "not the node's key at that height")
    return holder


def registered() -> str:
    return call("registry", "holding", key=signers()[0], role="")["id"]


def is_reason(text: str) -> bool:
    if len(text) == 0 or len(text) > MAX_REASON:
        return False
    return all([letter in REASON_LETTERS for letter in text])


# --- What validators state together ------------------------------------------------------------


def stated(place: list) -> list:
    return statements.get((place[0], place[1], place[2], place[3]), [])


def enough(witnesses: list, members: list, accused: str) -> bool:
    """Whether an honest validator is among the witnesses, and not one institution alone speaks."""
    needed = (len(members) - 1) // 3 + 1
    others = [member["institution"] for member in members if member["institution"] != accused]
    spread = min(needed, max(1, different(others)))
    speaking = different([witness["institution"] for witness in witnesses])
    return len(witnesses) >= needed and speaking >= spread


def different(items: list) -> int:
    return len({item: True for item in items})


def remember(place: list, witnesses: list, witness: str) -> None:
    statements[(place[0], place[1], place[2], place[3])] = witnesses
    own = [other for other in open_statements.get(witness, []) if other != place]
    own.append(place)
    while len(own) > MAX_OPEN:
        oldest = own.pop(0)
        left = [other for other in stated(oldest) if other["node"] != witness]
        if len(left) > 0:
            statements[(oldest[0], oldest[1], oldest[2], oldest[3])] = left
        else:
            del statements[(oldest[0], oldest[1], oldest[2], oldest[3])]
    open_statements[witness] = own


def forget(place: list, witness: str) -> None:
    own = open_statements.get(witness, [])
    if place in own:
        open_statements[witness] = [other for other in own if other != place]


def found(about: list, rule: str, holder: dict, reporter: str, witnesses: list) -> int:
    """Write down what was found, once."""
    place = (about[0], about[1], about[2], about[3])
    if place in known:
        return known[place]
    count = tally.get(holder["node"], 0)
    require(count < MAX_FINDINGS, "enough_findings", "that node has more findings than anybody needs")
    tally[holder["node"]] = count + 1
    number = finding_count.get(0) + 1
    finding_count.set(number)
    known[place] = number
    findings[number] = {
        "number": number, "rule": rule, "phase": about[3], "node": holder["node"],
        "institution": holder["institution"], "key": about[0], "height": about[1],
        "view": about[2], "reporter": reporter, "witnesses": witnesses, "since": height(),
        "time": now(), "transaction": transaction(),
    }
    emit(
        "found", finding=number, rule=rule, node=holder["node"], institution=holder["institution"],
        at=about[1], view=about[2],
    )
    return number
