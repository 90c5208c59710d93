"""Charter: which contracts hold in the consortium, in which version, and how that changes.

The members change a contract as they change a statute: somebody proposes the new wording with a
reason, every node checks it, the members see what it would have changed and vote under the rules of
the contract `policy`, and from the height that was named the new version holds, on every node at the
same block. A source that is not a contract cannot even be proposed. Earlier versions are kept, with
what led to them, and the members can go back to one.

In an emergency a contract is paused: it answers nobody until it is resumed. Whoever asks it is told
what to do meanwhile, as the vote said: to deny, or to go on as if it had nothing to say.

No code runs by itself. What a decision has to do beyond letting a version hold, such as founding a
new contract, moving the state of an old one, or setting parameters, is done by `carry_out`, which
anybody may call once its height has come. A version that waits for it answers nobody before.
"""

from ledger.contracts.prelude import Map, Value, begin, call, digest, emit, examine, export, fail, height, init, offers, query, require

# What can be proposed, and under which rule of `policy` it is voted on.
RULE_OF = {
    "add_contract": "contracts", "change_contract": "contracts", "set_policies": "contracts",
    "resume": "contracts", "set_parameters_of": "parameters", "pause": "emergency", "rollback": "emergency",
}
# What a vote rests on. It changes under the rule for the constitution, is never paused and cannot
# wait for a migration: nobody could vote to end that.
CORE = ["charter", "policy", "governance", "registry"]
REASONS = [
    "law", "guideline", "patient-safety", "privacy", "security", "error", "clarification",
    "new-cooperation", "end-of-cooperation", "trial", "local-conditions", "cost", "other",
]
INSTEAD = ["deny", "skip"]

NOTICE = 2
LONGEST_NOTICE = 100000
# How long an emergency that is to begin at once can be voted on.
EMERGENCY_BLOCKS = 10000
MAX_CONTRACTS = 200
MAX_CHANGES = 100
MAX_NAME = 40
MAX_WORDS = 400
HASH_BYTES = 32
NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
SOURCE_TAG = b"health-ledger/contract-source\x00"

# The protocol reads `contracts` and `sources` to find the code that it runs, and `versions` for audits.
contracts = Map("contracts")
sources = Map("sources")
versions = Map("versions")
version_count = Map("version_count")
changes = Map("changes")
index = Value("index")
proposals = Map("proposals")
proposal_count = Value("proposal_count")


@init
def found(contracts: list) -> None:
    """Write down the founders' contracts, each in its first version."""
    index.set([])
    for contract in contracts:
        enter(contract["name"], stored(contract["source"]), 0, 0, 0)


# --- Proposing and voting ----------------------------------------------------------------------


@export
def propose(
    kind: str, payload: dict, activation: int, reason: str, words: str = "", note: bytes = b"",
    institution: str = "",
) -> int:
    """A governor proposes a change with a reason; returns the number to vote on.

    `reason` is a code; `words` say more in public, `note` is a commitment to words that are not for
    everybody. An emergency may begin at once: then `activation` is 0.
    """
    require(kind in RULE_OF, "unknown_proposal", "not a kind of proposal")
    require(reason in REASONS, "unknown_reason", "not a code of the list of reasons")
    require(len(words) <= MAX_WORDS, "too_many_words", "at most 400 characters")
    require(len(note) in [0, HASH_BYTES], "bad_note", "a commitment has 32 bytes")
    require(words != "" or len(note) > 0, "reason_missing", "say why, in words or as a commitment to them")
    rule = "constitution" if payload.get("name", "") in CORE else RULE_OF[kind]
    closes = height() + EMERGENCY_BLOCKS
    if activation != 0 or rule != "emergency":
        require(activation >= height() + NOTICE, "too_late", "a change needs two blocks of notice")
        require(activation <= height() + LONGEST_NOTICE, "too_far", "at most 100,000 blocks ahead")
        closes = activation - NOTICE
    number = proposal_count.get(0) + 1
    proposal_count.set(number)
    proposer = call("policy", "put", number=number, rule=rule, closes=closes, institution=institution)
    change = prepared(kind, payload)
    problem = problem_with(kind, change, activation)
    require(problem == "", problem, "the proposed change is not possible")
    proposals[number] = {
        "kind": kind, "change": change, "activation": activation, "opened": height(), "by": proposer,
        "reason": reason, "words": words, "note": note, "status": "open", "problem": "", "due": False,
    }
    emit("proposed", proposal=number, kind=kind, contract=change["name"], activation=activation)
    return number


@export
def vote(proposal: int, approve: bool, institution: str = "", report: str = "") -> str:
    """A governor casts the vote of an institution; returns what became of the proposal.

    `report` is the hash of the impact report on which the institution decided, or empty.
    """
    return concluded(
        proposal, call("policy", "cast", number=proposal, approve=approve, institution=institution, report=report)
    )


@export
def count(proposal: int) -> str:
    """Let a vote whose time is over be decided; returns what became of the proposal."""
    return concluded(proposal, call("policy", "count", number=proposal))


def concluded(number: int, status: str) -> str:
    if status == "open":
        return status
    proposal = proposals[number]
    if status == "passed":
        if proposal["activation"] == 0:
            proposal["activation"] = height() + 1
        proposal["problem"] = problem_with(proposal["kind"], proposal["change"], proposal["activation"])
        if proposal["problem"] == "":
            proposal["due"] = apply_change(number, proposal)
        else:
            status = "void"
    proposal["status"] = status
    proposals[number] = proposal
    emit("decided", proposal=number, status=status, contract=proposal["change"]["name"])
    return status


# --- What is proposed --------------------------------------------------------------------------


def prepared(kind: str, payload: dict) -> dict:
    """A change as it is remembered: a source by its hash, with what the check found out about it."""
    if kind == "set_policies":
        return {"name": "access", "policies": payload["policies"]}
    name = payload["name"]
    if kind == "set_parameters_of":
        return {"name": name, "county": payload["county"], "values": payload["values"]}
    if kind == "pause":
        return {"name": name, "instead": payload["instead"]}
    if kind == "resume":
        return {"name": name}
    if kind == "rollback":
        return {"name": name, "version": payload["version"]}
    require(is_name(name), "bad_name", "small letters, digits and _, from a letter, at most 40")
    facts = examine(payload["source"])
    if len(facts["problems"]) > 0:
        first = facts["problems"][0]
        fail("invalid_contract", f"{first['code']} in line {first['line']}, {len(facts['problems'])} in all")
    return {
        "name": name, "source": stored(payload["source"]), "arguments": payload.get("arguments", {}),
        "base": contracts[name][-1]["version"] if name in contracts else 0,
        "init": facts["init"], "bytes": facts["bytes"], "methods": facts["methods"], "verdicts": facts["verdicts"],
    }


def problem_with(kind: str, change: dict, activation: int) -> str:
    """Why a change is impossible as things stand now, or nothing."""
    name = change["name"]
    if kind == "add_contract":
        return problem_with_adding(name, change)
    if name not in contracts:
        return "unknown_contract"
    schedule = contracts[name]
    if kind == "change_contract":
        if change["base"] != schedule[-1]["version"]:
            return "base_changed"
        if change["source"] == schedule[-1]["source"]:
            return "no_change"
        if migrates(change) and name in CORE:
            return "never_paused"
        return "out_of_order" if activation <= schedule[-1]["from"] else ""
    if kind == "set_parameters_of":
        return "" if offers(name, "amend") == "export" else "no_parameters"
    if kind == "set_policies":
        names = [policy.split(" ")[0] for policy in change["policies"]]
        return "" if all([other in contracts for other in names]) else "unknown_contract"
    at = height() + 1 if activation == 0 else activation
    holds = entry_at(schedule, at)
    if holds["from"] > at:
        return "not_yet"
    if kind == "rollback":
        if (name, change["version"]) not in versions:
            return "unknown_version"
        return "no_change" if holds["version"] == change["version"] and holds == schedule[-1] else ""
    if kind == "resume":
        return "" if holds["paused"] != "" else "not_paused"
    if name in CORE:
        return "never_paused"
    if change["instead"] not in INSTEAD:
        return "unknown_substitute"
    return "no_change" if holds["paused"] == change["instead"] else ""


def problem_with_adding(name: str, change: dict) -> str:
    if name in contracts:
        return "contract_exists"
    if change["init"] == "" and len(change["arguments"]) > 0:
        return "no_init"
    return "too_many_contracts" if len(index.get()) >= MAX_CONTRACTS else ""


def is_name(text: str) -> bool:
    if len(text) == 0 or len(text) > MAX_NAME or text[0] in "0123456789_":
        return False
    return all([letter in NAME_LETTERS for letter in text])


def migrates(change: dict) -> bool:
    return change["methods"].get("migrate", "") == "export"


# --- What holds --------------------------------------------------------------------------------


def apply_change(number: int, proposal: dict) -> bool:
    """Let a change hold from its height on; returns whether something is left to be carried out."""
    kind = proposal["kind"]
    change = proposal["change"]
    at = proposal["activation"]
    name = change["name"]
    if kind == "add_contract":
        due = change["init"] != ""
        enter(name, change["source"], at, number, number if due else 0)
        return due
    if kind == "change_contract":
        due = migrates(change)
        enter(name, change["source"], at, number, number if due else 0)
        return due
    if kind in ["set_parameters_of", "set_policies"]:
        return True
    schedule = contracts[name]
    entry = entry_at(schedule, at)
    before = [other for other in schedule if other["from"] < at]
    after = [other for other in schedule if other["from"] > at]
    entry["from"] = at
    if kind == "rollback":
        entry["version"] = change["version"]
        entry["source"] = versions[(name, change["version"])]["source"]
        entry["due"] = 0
        after = without_versions(entry, after)
    else:
        # Also of the versions that are to come: only a vote ends a pause.
        entry["paused"] = change["instead"] if kind == "pause" else ""
        for other in after:
            other["paused"] = entry["paused"]
    write_schedule(name, before + [entry] + after, number)
    return False


def without_versions(entry: dict, after: list) -> list:
    """Of what is to come the pauses and their ends: versions rested on the one that is given up."""
    kept = []
    paused = entry["paused"]
    for other in after:
        if other["paused"] != paused:
            paused = other["paused"]
            kept.append({
                "from": other["from"], "version": entry["version"], "source": entry["source"],
                "paused": paused, "due": 0,
            })
    return kept


def enter(name: str, source: str, at: int, number: int, due: int) -> None:
    """Let a new version of a contract hold from a height on."""
    version = version_count.get(name, 0) + 1
    version_count[name] = version
    versions[(name, version)] = {"source": source, "from": at, "proposal": number}
    schedule = contracts.get(name, [])
    paused = schedule[-1]["paused"] if len(schedule) > 0 else ""
    if len(schedule) == 0:
        index.set(index.get() + [name])
    entry = {"from": at, "version": version, "source": source, "paused": paused, "due": due}
    write_schedule(name, schedule + [entry], number)


def write_schedule(name: str, schedule: list, number: int) -> None:
    """Without what has ended: a contract is found by the last entry that has begun."""
    begun = entry_at(schedule, height())["from"]
    contracts[name] = [entry for entry in schedule if entry["from"] >= begun]
    if number > 0:
        known = changes.get(name, [])
        last = proposals[number]
        known.append({"proposal": number, "kind": last["kind"], "decided": height()})
        changes[name] = known[-MAX_CHANGES:]
        emit("will_hold", contract=name, schedule=contracts[name])


def entry_at(schedule: list, at: int) -> dict:
    """The entry of a schedule that holds at a height; before the first one, that."""
    current = schedule[0]
    for entry in schedule:
        if entry["from"] <= at:
            current = entry
    return {part: value for part, value in current.items()}


def stored(source: str) -> str:
    """Keep a source; returns the hash that it is found by."""
    hash = digest(SOURCE_TAG + source.encode()).hex()
    if hash not in sources:
        sources[hash] = source
    return hash


@export
def carry_out(proposal: int) -> None:
    """Do what a decision has left to be done. Anybody may call this once its height has come."""
    require(proposal in proposals, "unknown_proposal", "no proposal has that number")
    decided = proposals[proposal]
    require(decided["due"], "nothing_due", "nothing is left to be carried out")
    require(height() >= decided["activation"], "too_early", "its height has not come")
    kind = decided["kind"]
    change = decided["change"]
    name = change["name"]
    if kind == "set_parameters_of":
        call(name, "amend", county=change["county"], values=change["values"])
    elif kind == "set_policies":
        call("access", "set_policies", policies=change["policies"])
    else:
        schedule = contracts[name]
        require(entry_at(schedule, height())["due"] == proposal, "superseded", "another version holds by now")
        if kind == "add_contract":
            begin(name, change["arguments"])
        else:
            call(name, "migrate")
        for entry in schedule:
            if entry["due"] == proposal:
                entry["due"] = 0
        contracts[name] = schedule
    decided["due"] = False
    decided["carried_out"] = height()
    proposals[proposal] = decided
    emit("carried_out", proposal=proposal, contract=name)


# --- Questions ---------------------------------------------------------------------------------


@query
def names() -> list:
    """The names of all contracts, in the order in which they came."""
    return index.get()


@query
def in_force(name: str) -> dict | None:
    """Version, source and pause of a contract at this height, or nothing."""
    if name not in contracts:
        return None
    entry = entry_at(contracts[name], height())
    return entry if entry["from"] <= height() else None


@query
def history(name: str) -> dict | None:
    """The schedule of a contract, its versions with their sources, and the decisions about it."""
    if name not in contracts:
        return None
    known = []
    for version in range(1, version_count[name] + 1):
        entry = versions[(name, version)]
        entry["version"] = version
        known.append(entry)
    return {"schedule": contracts[name], "versions": known, "changes": changes.get(name, [])}


@query
def source(name: str, version: int) -> str | None:
    """The text of a version, or nothing."""
    entry = versions.get((name, version))
    return sources[entry["source"]] if entry is not None else None


@query
def proposal(number: int) -> dict | None:
    """A proposal with its votes, or nothing."""
    found = proposals.get(number)
    if found is None:
        return None
    ballot = call("policy", "ballot", owner="charter", number=number)
    if found["status"] == "open":
        found["status"] = ballot["status"]
    found["ballot"] = ballot
    return found
