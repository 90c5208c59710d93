"""Access: who may see which record, for what, decided and written down before anything is shown.

A request is answered at once and the answer stays on the chain with its reasons, whether it is yes
or no. Every sharing contract that speaks of the purpose is asked, and this is how their answers
become one:

1. What a rule forbids is denied, whatever others say.
2. What the law obliges the holder to share is permitted, also against a denial.
3. What a rule denies is denied.
4. What a rule permits is permitted, bound to the duties and the end of every rule that limits it,
   and to the duties of every rule that permits it.
5. What no rule permits is denied, and so is what is not understood.

A permit is for one person, one record and one purpose, and ends after a short time; a consent that
is withdrawn later does not make it unlawful, and the short time keeps that small.

Three of the facts that a rule states are passed on by every decision that it binds: `tell`, who has
to be told besides the patient; `review_by` and `delete_by`, the block times by which the disclosure
has to be judged and the copy deleted. The earliest counts. Who is bound to delete after use has
done so when the permit ends.

The patient is told of every decision at once, and it stands in her log of disclosures. Only a legal
duty can have her told later, at a date that its rule fixed before; then anybody can have the chain
tell her, and nobody can put it off.

A person may have several pseudonyms by mistake; the contract `identity` says so. Then permissions are
those of the name that survives, and what she denied under any of her names holds.

In an emergency a physician may break the glass: the patient's own denials do not stop it. That is a
request of its own, which none of the sharing contracts is asked about; the contract `emergency`
answers it, and has it judged afterwards.
"""

from ledger.contracts.prelude import Map, Value, call, call_index, caller, denies, digest, emit, encode, export, height, init, now, paused, permits, query, require, signers, transaction

# HL7 v3-PurposeOfUse: each purpose with the head of its branch.
BRANCH = {
    "TREAT": "TREAT", "CLINTRL": "TREAT", "COC": "TREAT", "POPHLTH": "TREAT", "ETREAT": "TREAT",
    "BTG": "TREAT", "ERTREAT": "TREAT",
    "HPAYMT": "HPAYMT", "CLMATTCH": "HPAYMT", "COVAUTH": "HPAYMT", "COVERAGE": "HPAYMT",
    "REMITADV": "HPAYMT", "ELIGDTRM": "HPAYMT", "ELIGVER": "HPAYMT", "ENROLLM": "HPAYMT", "MILDCRG": "HPAYMT",
    "HOPERAT": "HOPERAT", "CAREMGT": "HOPERAT", "DONAT": "HOPERAT", "FRAUD": "HOPERAT", "GOV": "HOPERAT",
    "HACCRED": "HOPERAT", "HCOMPL": "HOPERAT", "HDECD": "HOPERAT", "HDIRECT": "HOPERAT", "HDM": "HOPERAT",
    "HLEGAL": "HOPERAT", "HOUTCOMS": "HOPERAT", "HPRGRP": "HOPERAT", "HQUALIMP": "HOPERAT",
    "HSYSADMIN": "HOPERAT", "LABELING": "HOPERAT", "METAMGT": "HOPERAT", "MEMADMIN": "HOPERAT",
    "MILCDM": "HOPERAT", "PATADMIN": "HOPERAT", "PATSFTY": "HOPERAT", "PERFMSR": "HOPERAT",
    "RECORDMGT": "HOPERAT", "SYSDEV": "HOPERAT", "HTEST": "HOPERAT", "TRAIN": "HOPERAT",
    "HRESCH": "HRESCH", "BIORCH": "HRESCH", "CLINTRCH": "HRESCH", "CLINTRCHNPC": "HRESCH",
    "CLINTRCHPC": "HRESCH", "PRECLINTRCH": "HRESCH", "DSRCH": "HRESCH", "POARCH": "HRESCH", "TRANSRCH": "HRESCH",
    "PATRQT": "PATRQT", "FAMRQT": "PATRQT", "PWATRNY": "PATRQT", "SUPNWK": "PATRQT",
    "PUBHLTH": "PUBHLTH", "DISASTER": "PUBHLTH", "THREAT": "PUBHLTH",
    "HMARKT": "HMARKT",
}

# Who may act for a purpose at all. Marketing is for nobody.
SUITED = {
    "TREAT": ["physician", "nurse", "emergency-physician", "family-doctor", "village-doctor", "pharmacist"],
    "HPAYMT": ["insurer"],
    "HOPERAT": [
        "auditor", "supervisor", "records-officer", "registrar", "physician", "nurse", "family-doctor",
        "village-doctor", "public-health-officer", "liaison", "vendor-engineer",
    ],
    "HRESCH": ["researcher"],
    "PATRQT": ["patient", "care-worker", "social-worker", "liaison"],
    "PUBHLTH": ["auditor", "physician", "nurse", "public-health-officer", "family-doctor", "village-doctor"],
    "HMARKT": [],
}

# Kinds of institutions, as governance has them.
KINDS = [
    "provincial-hospital", "city-hospital", "county-hospital", "township-centre", "community-centre",
    "village-station", "internet-hospital", "maternal-child", "cdc", "emergency-service", "pharmacy",
    "commission", "insurer", "research", "university", "vendor", "care-home", "hospice", "nursery", "school",
    "custody", "police", "civil-affairs", "employer", "charity", "patient-body", "other-department",
]

# What a permit binds the recipient to, in HL7 v3-ActCode: account of disclosures (AOD), no
# redisclosure without consent (NORDSCLCD), delete after use (DELAU), de-identify (DEID), do not
# relink (NORELINK), as little as needed (MINEC).
DUTIES_BY_LEVEL = {"N": ["AOD"], "R": ["AOD", "NORDSCLCD"], "V": ["AOD", "NORDSCLCD", "DELAU"]}
DUTIES_BY_BRANCH = {
    "TREAT": [], "HPAYMT": ["MINEC"], "HOPERAT": ["MINEC"], "HRESCH": ["DEID", "NORELINK"],
    "PATRQT": [], "PUBHLTH": ["MINEC"], "HMARKT": [],
}

HOUR = 3600000
KEY_BYTES = 32
MAX_CASE = 80
CASE_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
MAX_TOKENS = 32
MAX_POLICIES = 64
MAX_COUNTIES = 100
EFFECTS = ["permit", "oblige", "limit", "deny", "forbid", "none"]

# What the patient's log of disclosures says of a decision, in the words of the decision.
ENTRY = [
    "id", "time", "height", "outcome", "rule", "requester", "institution", "holder", "record", "kind", "purpose", "case",
]

# Contracts that know what a patient herself denied, and the rules by which they say so.
PATIENTS_OWN = ["consent", "research", "own_access"]
OWN_DENIALS = ["patient-denies", "not-understood", "patient-has-left", "patient-objected"]

settings = Value("settings")
decisions = Map("decisions")
# Each pseudonym of a person who has more than one → all of them, the surviving one first. It is here
# so that a decision need not ask another contract for it.
related = Map("related")


@init
def found(policies: list, permit_hours: int) -> None:
    """Fix which contracts are asked and how long a permit lasts.

    A policy is the name of a contract, which is asked about every purpose; or the name and when it is
    asked: branches of purposes, and kinds of institutions whose people it is asked about for every
    purpose. "supervision HOPERAT commission" is asked about operations, and about commissions.
    """
    settings.set({"asked": asked_about(policies), "permit": hours_in({"permit_hours": permit_hours}), "counties": {}})


@export
def amend(county: str, values: dict) -> None:
    """Set `permit_hours`, for all or for those who act for the institutions of a county."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    terms = settings.get()
    if county == "":
        terms["permit"] = hours_in(values)
    else:
        terms["counties"][county] = hours_in(values)
        require(len(terms["counties"]) <= MAX_COUNTIES, "too_many_counties")
    settings.set(terms)
    emit("amended", county=county)


@export
def set_policies(policies: list) -> None:
    """Fix anew which contracts are asked."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    terms = settings.get()
    terms["asked"] = asked_about(policies)
    settings.set(terms)
    emit("policies_set")


@export
def relate(survivor: str, duplicates: list, parted: list) -> None:
    """Note which pseudonyms are one person. For identity alone."""
    require(caller() == "identity", "identity_only", "this follows a merge")
    for name in parted:
        del related[name]
    names = [survivor] + duplicates
    for name in names:
        if len(duplicates) > 0:
            related[name] = names
        elif name in related:
            del related[name]


def asked_about(policies: list) -> dict:
    """The contracts to ask, for each branch of purposes and each kind of institution."""
    require(len(policies) <= MAX_POLICIES, "too_many_policies")
    asked: dict = {branch: [] for branch in SUITED}
    for policy in policies:
        words = policy.split(" ")
        for word in SUITED if len(words) == 1 else words[1:]:
            require(word in SUITED or word in KINDS, "unknown_policy", "neither a branch of purposes nor a kind")
            asked[word] = asked.get(word, []) + [words[0]]
    return asked


def hours_in(values: dict) -> int:
    """How long a permit lasts, in ms."""
    require(sorted(values.keys()) == ["permit_hours"], "unknown_parameter", "there is permit_hours alone")
    hours = values["permit_hours"]
    require(0 < hours and hours <= 720, "bad_hours", "a permit lasts 1 to 720 hours")
    return hours * HOUR


def lasting(institution: str, terms: dict) -> int:
    """How long a permit lasts for those who act for an institution: its county may have a rule."""
    if institution == "" or len(terms["counties"]) == 0:
        return terms["permit"]
    county = call("governance", "institution", id=institution)["county"]
    return terms["counties"].get(county, terms["permit"])


# --- Asking ------------------------------------------------------------------------------------


@export
def request(
    pointer: dict, proof: dict, purpose: str, institution: str, reply_key: bytes,
    case: str = "", labels: list = [],
) -> dict:
    """Ask for one record, for one purpose, acting for one institution; returns the decision.

    Patients and their relatives act for no institution and leave it empty. `reply_key` is the
    X25519 key to which the holder encrypts the record. `case` names what the request belongs to,
    such as a consultation or a study. `labels` are the tokens that the pointer commits to, or none.
    """
    require(len(reply_key) == KEY_BYTES, "bad_reply_key", "an X25519 key has 32 bytes")
    require(len(case) <= MAX_CASE and all([letter in CASE_LETTERS for letter in case]), "bad_case", "not an id")
    who = requester(institution)
    record = call("records", "find", pointer=pointer, proof=proof)
    terms = settings.get()
    verdict = judged(pointer, record, purpose, institution, who, case, labels, terms["asked"])
    return written(pointer, record, purpose, institution, reply_key, who, case, verdict, lasting(institution, terms))


@export
def break_glass(pointer: dict, proof: dict, institution: str, reply_key: bytes, reason: str, note: bytes) -> dict:
    """Ask for one record in an emergency, for a coded reason; returns the decision.

    Its case is the emergency, which later requests of the same physician for the same patient join.
    `note` is a commitment to the physician's own words, which the institution keeps for the review.
    """
    require(len(reply_key) == KEY_BYTES, "bad_reply_key", "an X25519 key has 32 bytes")
    who = requester(institution)
    record = call("records", "find", pointer=pointer, proof=proof)
    case = ""
    if record["status"] != "anchored":
        answer = denies(f"record-{record['status']}", record=record["name"])
    else:
        answer = call(
            "emergency", "declare", request=f"{transaction()}-{call_index()}", who=who,
            institution=institution, subject=pointer["subject"], reason=reason, note=note,
        )
        case = answer["facts"].get("emergency", "")
    lasts = lasting(institution, settings.get())
    return written(pointer, record, "BTG", institution, reply_key, who, case, alone(answer), lasts)


def requester(institution: str) -> dict:
    """The signer and the roles in which the signer asks."""
    if institution == "":
        return call("registry", "patient", key=signers()[0])
    return call("registry", "acting", key=signers()[0], institution=institution, roles=[])


# --- Deciding ----------------------------------------------------------------------------------


def judged(
    pointer: dict, record: dict, purpose: str, institution: str, who: dict, case: str, labels: list, asked: dict
) -> dict:
    """The decision on an ordinary request, with everybody who was asked."""
    # While the patient's request to destroy it runs, it is for herself and for legal duties alone.
    closed = record["status"] == "restricted"
    if record["status"] != "anchored" and not closed:
        return alone(denies(f"record-{record['status']}", record=record["name"]))
    if purpose not in BRANCH:
        return alone(denies("purpose-unknown"))
    if purpose == "BTG":
        return alone(denies("emergency-needs-break-glass"))
    branch = BRANCH[purpose]
    own = False
    names = related.get(pointer["subject"], [pointer["subject"]])
    policies = asked[branch] + [policy for policy in asked.get(who["kind"], []) if policy not in asked[branch]]
    if branch == "PATRQT" and who["id"] == names[0]:
        # Whatever she denied to others; only what is held back until she is told can wait.
        if "own_access" not in policies:
            return alone(permits("own-record"))
        policies = ["own_access"]
        own = True
    if not overlap(who["roles"], SUITED[branch]):
        return alone(denies("role-not-suited", roles=who["roles"]))
    require(len(labels) <= MAX_TOKENS, "bad_labels", "at most 32 labels")
    require(len(labels) == 0 or digest(encode(labels)) == pointer["labels"], "bad_labels", "not the labels that the pointer commits to")
    verdict = combined({
        "subject": names[0], "requester": who["id"], "roles": who["roles"],
        "institution": institution, "institution_kind": who["kind"], "purpose": purpose, "branch": branch, "holder": pointer["holder"],
        "record": record["name"].hex(), "kind": pointer["kind"], "case": case,
        "confidentiality": pointer["confidentiality"], "labels": labels, "labels_root": pointer["labels"],
        "data_start": pointer["start"], "data_end": pointer["end"],
    }, policies, names[1:])
    if closed and not own and verdict["by"]["effect"] != "oblige":
        return alone(denies("record-restricted", record=record["name"]))
    return verdict


def combined(facts: dict, policies: list, duplicates: list) -> dict:
    """Ask every sharing contract in turn, and make one answer of theirs.

    One that is paused is denied for or passed over, as the vote about the pause said. About the
    duplicates of the patient only those are asked that know what she denied.
    """
    path = []
    asked = []
    for policy in policies:
        instead = paused(policy)
        if instead == "skip":
            asked.append(f"{policy}:paused")
            continue
        if instead == "":
            answer = call(policy, "decide", request=facts)
            answer["contract"] = policy
        else:
            answer = denies("policy-paused", policy=policy)
        asked.append(f"{policy}:{answer['rule']}")
        if answer["effect"] != "none":
            path.append(answer)
    for duplicate in duplicates:
        also = {name: facts[name] for name in facts}
        also["subject"] = duplicate
        for policy in PATIENTS_OWN:
            if policy in policies and paused(policy) == "":
                answer = call(policy, "decide", request=also)
                if answer["effect"] in ["deny", "forbid"] and answer["rule"] in OWN_DENIALS:
                    answer["contract"] = policy
                    asked.append(f"{policy}:{answer['rule']}")
                    path.append(answer)
    duties: list = []
    until = 0
    binding = []
    for answer in path:
        if answer["effect"] == "limit":
            until = earlier(until, answer["until"])
            duties = united(duties, answer["duties"])
            binding.append(answer)
    winner = first(path, "forbid")
    if winner is None and all([answer["effect"] in EFFECTS for answer in path]):
        for effect in ["oblige", "deny", "permit"]:
            if winner is None:
                winner = first(path, effect)
    if winner is None:
        winner = denies("nothing-permits" if all([answer["effect"] == "limit" for answer in path]) else "not-understood")
        path.append(winner)
    if winner["effect"] in ["permit", "oblige"]:
        # All that permit, not the first alone: the order of the policies decides no duty.
        for answer in path:
            if answer["effect"] == winner["effect"]:
                duties = united(duties, answer["duties"])
                binding.append(answer)
        return {
            "outcome": "permit", "by": winner, "path": path, "asked": asked,
            "duties": duties, "until": earlier(until, winner["until"]), "binding": binding,
        }
    return {"outcome": "deny", "by": winner, "path": path, "asked": asked, "duties": [], "until": 0, "binding": [winner]}


def first(path: list, effect: str) -> dict | None:
    for answer in path:
        if answer["effect"] == effect:
            return answer
    return None


def alone(answer: dict) -> dict:
    """A decision that this contract takes without asking others."""
    outcome = "permit" if answer["effect"] == "permit" else "deny"
    return {
        "outcome": outcome, "by": answer, "path": [answer], "asked": [], "duties": answer["duties"],
        "until": answer["until"], "binding": [answer],
    }


def united(some: list, more: list) -> list:
    return some + [item for item in more if item not in some]


def earlier(one: int, other: int) -> int:
    """The earlier of two ends, where 0 stands for none."""
    if one == 0 or other == 0:
        return one + other
    return min(one, other)


def written(
    pointer: dict, record: dict, purpose: str, institution: str, reply_key: bytes, who: dict, case: str,
    verdict: dict, lasts: int,
) -> dict:
    """Put a decision on the chain and tell the patient."""
    permitted = verdict["outcome"] == "permit"
    by = verdict["by"]
    obligations = united(duties(pointer["confidentiality"], purpose), verdict["duties"]) if permitted else []
    expires = earlier(now() + lasts, verdict["until"]) if permitted else 0
    tell = [] if who["id"] == pointer["subject"] else ["patient"]
    review_by = 0
    delete_by = 0
    for answer in verdict["binding"]:
        tell = united(tell, answer["facts"].get("tell", []))
        review_by = earlier(review_by, answer["facts"].get("review_by", 0))
        delete_by = earlier(delete_by, answer["facts"].get("delete_by", 0))
    if delete_by == 0 and "DELAU" in obligations:
        delete_by = expires
    decision = {
        "id": f"{transaction()}-{call_index()}",
        "outcome": verdict["outcome"],
        "rule": f"{by['contract']}:{by['rule']}",
        "path": verdict["path"],
        "asked": verdict["asked"],
        "requester": who["id"],
        "roles": who["roles"],
        "institution": institution,
        "subject": pointer["subject"],
        "record": record["name"],
        "holder": pointer["holder"],
        "kind": pointer["kind"],
        "confidentiality": pointer["confidentiality"],
        "digest": pointer["digest"],
        "purpose": purpose,
        "case": case,
        "reply_key": reply_key,
        "obligations": obligations,
        "tell": tell,
        "review_by": review_by,
        "delete_by": delete_by,
        "time": now(),
        "told": told_from(verdict["binding"]) if permitted else now(),
        "height": height(),
        # Since which heights what is known of the requester and of the record has stood as it was.
        "as_of": {"requester": who["version"], "record": record["version"]},
        "expires": expires,
        "released": None,
        "received": None,
        # Its number in the patient's log of disclosures, which has it once she is told.
        "entry": None,
    }
    sealed = decision["told"] > now()
    if not sealed:
        decision["entry"] = logged(decision)
    decisions[decision["id"]] = decision
    if sealed:
        emit("sealed", request=decision["id"], told=decision["told"])
    else:
        emit("decided", request=decision["id"], subject=decision["subject"], outcome=decision["outcome"], tell=tell)
    return decision


def logged(decision: dict) -> int:
    """Put a decision into the patient's log of disclosures; returns its number there."""
    return call("disclosures", "record", subject=decision["subject"], entry={name: decision[name] for name in ENTRY})


def told_from(binding: list) -> int:
    """When the patient is told of a permit: now, or at the date that a legal duty has fixed; of
    several duties the earliest date counts."""
    dates = [answer["facts"].get("told", 0) for answer in binding if answer["effect"] == "oblige"]
    return now() if len(dates) == 0 else max(now(), min(dates))


@export
def unseal(request: str) -> None:
    """Anybody has the patient told of a sealed decision, once its date has come."""
    decision = known(request)
    require("unsealed" not in decision and decision["told"] > decision["time"], "not_sealed", "she was told before")
    require(decision["told"] <= now(), "too_early", "the date has not come")
    decision["unsealed"] = now()
    decision["entry"] = logged(decision)
    decisions[request] = decision
    emit("decided", request=request, subject=decision["subject"], outcome=decision["outcome"], tell=decision["tell"])


def audience(decision: dict) -> str:
    """Whom an event about a decision names: the patient, or nobody while it is sealed."""
    return "" if decision["told"] > now() else decision["subject"]


def duties(confidentiality: str, purpose: str) -> list:
    return DUTIES_BY_LEVEL[confidentiality] + DUTIES_BY_BRANCH[BRANCH[purpose]]


def overlap(some: list, others: list) -> bool:
    for item in some:
        if item in others:
            return True
    return False


# --- Handing over ------------------------------------------------------------------------------


@export
def release(request: str, digest: bytes) -> None:
    """The holder's records officer writes down that the record was handed over."""
    decision = known(request)
    call("registry", "acting", key=signers()[0], institution=decision["holder"], roles=["records-officer"])
    require(decision["outcome"] == "permit", "not_permitted", "the request was denied")
    require(decision["released"] is None, "already_released", "the release was written down before")
    decision["released"] = {"time": now(), "digest": digest, "matches": digest == decision["digest"]}
    decisions[request] = decision
    emit("released", request=request, subject=audience(decision))


@export
def receipt(request: str, digest: bytes, matches: bool) -> None:
    """The requester writes down what arrived, and whether it is what the pointer promised."""
    decision = known(request)
    person = call("registry", "whois", key=signers()[0])
    require(person is not None and person["id"] == decision["requester"], "not_the_requester", "another person asked")
    require(decision["outcome"] == "permit", "not_permitted", "the request was denied")
    require(decision["received"] is None, "already_received", "the receipt was written down before")
    require(matches == (digest == decision["digest"]), "contradiction", "the digest says the opposite")
    decision["received"] = {"time": now(), "digest": digest, "matches": matches}
    decisions[request] = decision
    emit("received", request=request, subject=audience(decision), matches=matches)


def known(request: str) -> dict:
    require(request in decisions, "unknown_request", "there is no decision of that id")
    return decisions[request]


# --- Questions ---------------------------------------------------------------------------------


@query
def preview(pointer: dict, proof: dict, purpose: str, institution: str, key: str, case: str = "", labels: list = []) -> dict:
    """What `request` would answer now to the person with this key, without anything written down.

    A holder asks this before it shows a pointer to somebody: what would be denied is not shown. For
    BTG it says whether an emergency of that person with that patient is running.
    """
    if institution == "":
        who = call("registry", "patient", key=key)
    else:
        who = call("registry", "acting", key=key, institution=institution, roles=[])
    record = call("records", "find", pointer=pointer, proof=proof)
    if purpose == "BTG" and record["status"] == "anchored":
        verdict = alone(call("emergency", "running", person=who["id"], institution=institution, subject=pointer["subject"]))
    else:
        verdict = judged(pointer, record, purpose, institution, who, case, labels, settings.get()["asked"])
    by = verdict["by"]
    return {"outcome": verdict["outcome"], "rule": f"{by['contract']}:{by['rule']}", "until": verdict["until"]}


@query
def suits(purpose: str, roles: list) -> bool:
    """Whether somebody with these roles may ask for this purpose at all; the glass is not asked for."""
    return purpose in BRANCH and purpose != "BTG" and overlap(roles, SUITED[BRANCH[purpose]])


@query
def decision(id: str) -> dict | None:
    """A decision, with its release and receipt once they are written down, or nothing."""
    return decisions.get(id)
