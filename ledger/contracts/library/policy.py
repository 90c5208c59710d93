"""Policy: how the members vote. Who may propose, who votes with which weight, and what is enough.

There is one rule for each kind of change: who belongs to the consortium, its contracts, their
parameters, emergencies, and the constitution, which is this contract and the others that a vote
rests on. What a vote needs, and who takes part in it, is fixed when it opens: an institution that
joins or leaves meanwhile changes nothing about it, and neither does a new rule. The rules themselves
change by vote, under the rule for the constitution.

Unless the founders said otherwise, each institution that runs a validator has one vote, and more
than two thirds of all must approve. To pause a contract or to go back to an earlier version of it,
two thirds are enough, or the commission together with one county.
"""

from ledger.contracts.prelude import Map, Value, call, caller, emit, export, height, init, query, require, signers

# The contracts that put something to the vote and carry out what was decided.
OWNERS = ["governance", "charter"]
RULES = ["members", "contracts", "parameters", "emergency", "constitution"]
# One way to reach a decision: `share` of all weight approves (`more` than it, or at least it), at
# least `quorum` of all weight has voted, an institution of each of the `kinds` approves, and so many
# `counties`, each by more than half of the weight of its other voters.
PATH = {"share": [2, 3], "more": True, "quorum": [0, 1], "kinds": [], "counties": 0}
RULE = {
    # Who votes: "validators", the institutions that run one, or "members". Institutions of the kinds
    # in `also` vote too, without weight unless `weights` gives them one.
    "electorate": "validators", "also": [], "weights": {},
    # Any one path is enough.
    "paths": [{}],
    # Counties in which more than `veto_share` of the weight can stop a change alone; "*" for each.
    "veto_counties": [], "veto_share": [1, 2],
    # Who proposes: these institutions, and those of these kinds; if both are empty, every voter.
    "proposers": [], "proposer_kinds": [],
}
EMERGENCY = {
    "also": ["commission"],
    "paths": [
        {"share": [2, 3], "more": False},
        {"share": [0, 1], "more": False, "kinds": ["commission"], "counties": 1},
    ],
}

MAX_FRACTION = 1000
MAX_WEIGHT = 1000
MAX_NAMED = 100
MAX_PATHS = 4
MAX_VOTERS = 500
MAX_OPEN_PROPOSALS = 32
# Blocks between the last vote and the last moment to count, where counties have a veto: they are
# waited for until then, and somebody has to count.
COUNTING = 8
REPORT_DIGITS = 64
HEX_DIGITS = "0123456789abcdef"

rules = Map("rules")
ballots = Map("ballots")
waiting = Map("waiting")


@init
def found(values: dict = {}) -> None:
    """Fix the rules; those that the founders left out are the usual ones."""
    for name in RULES:
        rules[name] = completed(EMERGENCY if name == "emergency" else {})
    write_rules(values)


@export
def amend(county: str, values: dict) -> None:
    """Replace rules, each as a whole. It follows a vote under the rule for the constitution."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "for_all", "how members vote is the same in every county")
    write_rules(values)
    for name in values:
        ballot = terms(completed(values[name]), name)
        require(carried(ballot, ids(ballot), ballot["total"]), "nobody_could_pass", "not even all together")
    emit("rules_changed", rules=sorted(values.keys()))


def write_rules(values: dict) -> None:
    for name in values:
        require(name in RULES, "unknown_rule", "not a kind of change")
        rule = completed(values[name])
        problem = problem_with(rule)
        require(problem == "", problem, "the rule is not possible")
        rules[name] = rule


# --- Voting ------------------------------------------------------------------------------------


@export
def put(number: int, rule: str, closes: int, institution: str = "") -> str:
    """Open the vote on a proposal of the calling contract; returns the proposing institution.

    `closes` is the last height at which it can be decided. Proposing is not voting.
    """
    owner = owning()
    require(rule in RULES, "unknown_rule", "not a kind of change")
    known = rules[rule]
    ballot = terms(known, rule)
    proposer = proposing(known, ids(ballot), institution)
    open = [other for other in waiting.get(owner, []) if other["closes"] >= height()]
    require(len(open) < MAX_OPEN_PROPOSALS, "too_many_proposals", "decide the open ones first")
    open.append({"number": number, "closes": closes})
    waiting[owner] = open
    ballot["proposer"] = proposer
    ballot["opened"] = height()
    ballot["closes"] = closes
    ballot["ends"] = closes - COUNTING if len(ballot["vetoes"]) > 0 else closes
    require(ballot["ends"] >= height(), "too_late", "there would be no time to vote")
    ballots[(owner, number)] = ballot
    return proposer


@export
def cast(number: int, approve: bool, institution: str = "", report: str = "") -> str:
    """A governor casts the vote of an institution; returns what became of the vote.

    An institution may vote again while the vote is open; its last vote counts. `report` is the hash
    of the impact report that the institution had before it.
    """
    owner = owning()
    require((owner, number) in ballots, "unknown_proposal", "no proposal has that number")
    ballot = ballots[(owner, number)]
    require(ballot["status"] == "open", "proposal_closed", "the vote is over")
    require(height() <= ballot["ends"], "too_late", "the time to vote is over")
    require(report == "" or is_hash(report), "bad_report", "a report is named by its hash in hex")
    voter = governing(ids(ballot), institution)
    for side in ["approve", "reject"]:
        ballot[side] = [other for other in ballot[side] if other != voter]
    ballot["approve" if approve else "reject"].append(voter)
    ballot["reports"][voter] = report
    backers = ballot["approve"]
    voted = weight_of(ballot, backers + ballot["reject"])
    others = [id for id in ids(ballot) if id not in ballot["reject"]]
    if vetoed(ballot, ballot["reject"]) or not carried(ballot, others, ballot["total"]):
        ballot["status"] = "rejected"
    elif carried(ballot, backers, voted) and not vetoed(ballot, [id for id in ids(ballot) if id not in backers]):
        ballot["status"] = "passed"
    return written(owner, number, ballot)


@export
def count(number: int) -> str:
    """Decide a vote whose time is over; returns what became of it.

    It is needed where counties with a veto were waited for; a vote that reached nothing has expired.
    """
    owner = owning()
    require((owner, number) in ballots, "unknown_proposal", "no proposal has that number")
    ballot = ballots[(owner, number)]
    require(ballot["status"] == "open", "proposal_closed", "the vote is over")
    require(height() > ballot["ends"], "too_early", "the members still vote")
    voted = weight_of(ballot, ballot["approve"] + ballot["reject"])
    good = height() <= ballot["closes"] and carried(ballot, ballot["approve"], voted)
    ballot["status"] = "passed" if good else "expired"
    return written(owner, number, ballot)


def owning() -> str:
    require(caller() in OWNERS, "owner_unknown", "members vote through what carries out the decision")
    return caller()


def written(owner: str, number: int, ballot: dict) -> str:
    ballots[(owner, number)] = ballot
    if ballot["status"] != "open":
        waiting[owner] = [other for other in waiting.get(owner, []) if other["number"] != number]
    return ballot["status"]


# --- What a vote needs -------------------------------------------------------------------------


def terms(rule: dict, name: str) -> dict:
    """A ballot under a rule as things stand now: who votes, and what is enough."""
    voters = electorate(rule)
    require(0 < len(voters) and len(voters) <= MAX_VOTERS, "too_many_voters", "1 to 500 institutions vote")
    counties = []
    for voter in voters:
        if voter["weight"] > 0 and voter["county"] not in counties:
            if "*" in rule["veto_counties"] or voter["county"] in rule["veto_counties"]:
                counties.append(voter["county"])
    return {
        "rule": name, "voters": voters, "total": sum([voter["weight"] for voter in voters]),
        "paths": rule["paths"], "vetoes": counties, "veto_share": rule["veto_share"],
        "approve": [], "reject": [], "reports": {}, "status": "open",
    }


def electorate(rule: dict) -> list:
    voters = []
    known = []
    if rule["electorate"] == "validators":
        for member in call("governance", "validating"):
            id = member["institution"]
            if id not in known:
                known.append(id)
                voters.append(voter_from(call("governance", "institution", id=id), rule["weights"].get(id, 1)))
    everybody = rule["electorate"] == "members"
    if everybody or len(rule["also"]) > 0:
        for details in call("governance", "members")["institutions"]:
            if details["id"] not in known and (everybody or details["kind"] in rule["also"]):
                voters.append(voter_from(details, rule["weights"].get(details["id"], 1 if everybody else 0)))
    return voters


def voter_from(details: dict, weight: int) -> dict:
    return {"institution": details["id"], "weight": weight, "county": details["county"], "kind": details["kind"]}


def ids(ballot: dict) -> list:
    return [voter["institution"] for voter in ballot["voters"]]


def weight_of(ballot: dict, some: list) -> int:
    return sum([voter["weight"] for voter in ballot["voters"] if voter["institution"] in some])


def carried(ballot: dict, backers: list, voted: int) -> bool:
    """Whether those who approve are enough, when institutions of so much weight have voted."""
    for path in ballot["paths"]:
        if is_met(path, ballot, backers, voted):
            return True
    return False


def is_met(path: dict, ballot: dict, backers: list, voted: int) -> bool:
    top, bottom = path["share"]
    weight = bottom * weight_of(ballot, backers)
    if weight < top * ballot["total"] or (path["more"] and weight == top * ballot["total"]):
        return False
    if path["quorum"][1] * voted < path["quorum"][0] * ballot["total"]:
        return False
    kinds = [voter["kind"] for voter in ballot["voters"] if voter["institution"] in backers]
    if not all([kind in kinds for kind in path["kinds"]]):
        return False
    others = [voter for voter in ballot["voters"] if voter["kind"] not in path["kinds"]]
    return len(counties_above(others, backers, [1, 2])) >= path["counties"]


def counties_above(voters: list, some: list, share: list) -> list:
    """The counties in which these institutions have more than a share of the weight."""
    whole: dict = {}
    theirs: dict = {}
    for voter in voters:
        county = voter["county"]
        whole[county] = whole.get(county, 0) + voter["weight"]
        if voter["institution"] in some:
            theirs[county] = theirs.get(county, 0) + voter["weight"]
    return [county for county in theirs if share[1] * theirs[county] > share[0] * whole[county]]


def vetoed(ballot: dict, rejecters: list) -> bool:
    """Whether these institutions are enough to stop it for a county with a veto."""
    if len(ballot["vetoes"]) == 0:
        return False
    against = counties_above(ballot["voters"], rejecters, ballot["veto_share"])
    return any([county in ballot["vetoes"] for county in against])


def is_hash(text: str) -> bool:
    return len(text) == REPORT_DIGITS and all([digit in HEX_DIGITS for digit in text])


# --- Who acts ----------------------------------------------------------------------------------


def governing(voters: list, institution: str) -> str:
    """The one voting institution for which the signer is governor."""
    governor = call("registry", "holding", key=signers()[0], role="governor")
    return only([voter for voter in governor["institutions"] if voter in voters], institution)


def proposing(rule: dict, voters: list, institution: str) -> str:
    """The one institution that may propose for which the signer is governor."""
    if len(rule["proposers"]) == 0 and len(rule["proposer_kinds"]) == 0:
        return governing(voters, institution)
    governor = call("registry", "holding", key=signers()[0], role="governor")
    entitled = []
    for id in governor["institutions"]:
        if id in rule["proposers"] or call("governance", "institution", id=id)["kind"] in rule["proposer_kinds"]:
            entitled.append(id)
    return only(entitled, institution)


def only(own: list, institution: str) -> str:
    if institution != "":
        own = [id for id in own if id == institution]
    require(len(own) > 0, "not_a_governor", "the signer governs no institution that has a vote")
    require(len(own) == 1, "institution_unclear", "say for which institution it is")
    return own[0]


# --- Rules that are possible -------------------------------------------------------------------


def completed(rule: dict) -> dict:
    """A rule with the usual parts where it is silent."""
    made = merged(RULE, rule)
    made["paths"] = [merged(PATH, path) for path in made["paths"]]
    return made


def merged(old: dict, new: dict) -> dict:
    values = {name: value for name, value in old.items()}
    for name in new:
        require(name in old, "unknown_part", "a rule has no such part")
        values[name] = new[name]
    return values


def problem_with(rule: dict) -> str:
    if rule["electorate"] not in ["validators", "members"]:
        return "unknown_electorate"
    for part in ["also", "weights", "veto_counties", "proposers", "proposer_kinds"]:
        if len(rule[part]) > MAX_NAMED:
            return "too_many_named"
    for id in rule["weights"]:
        if rule["weights"][id] < 0 or rule["weights"][id] > MAX_WEIGHT:
            return "bad_weight"
    if len(rule["paths"]) == 0 or len(rule["paths"]) > MAX_PATHS:
        return "bad_paths"
    for path in rule["paths"]:
        if not is_fraction(path["share"]) or not is_fraction(path["quorum"]):
            return "bad_fraction"
        if path["more"] and path["share"][0] == path["share"][1]:
            return "more_than_all"
        if path["share"][0] == 0 and not path["more"] and len(path["kinds"]) == 0:
            return "needs_nobody"
        if len(path["kinds"]) > MAX_NAMED or path["counties"] < 0 or path["counties"] > MAX_NAMED:
            return "too_many_named"
    return "" if is_fraction(rule["veto_share"]) else "bad_fraction"


def is_fraction(pair: list) -> bool:
    return len(pair) == 2 and 0 <= pair[0] <= pair[1] and 1 <= pair[1] <= MAX_FRACTION


# --- Questions ---------------------------------------------------------------------------------


@query
def rule(name: str) -> dict | None:
    """What a kind of change needs from now on, or nothing."""
    return rules.get(name)


@query
def ballot(owner: str, number: int) -> dict | None:
    """The vote on a proposal of a contract: terms, votes, outcome; or nothing."""
    found = ballots.get((owner, number))
    if found is not None and found["status"] == "open" and height() > found["closes"]:
        found["status"] = "expired"
    return found
