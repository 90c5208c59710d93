"""Governance: the members of the consortium, their nodes, the validators and the parameters.

Nothing here changes without a vote. Each institution that runs a validator has one vote, cast by
one of its governors; more than two thirds must approve. Validators and parameters change at a
height that the proposal names, so that every node changes at the same block.
"""

from ledger.contracts.prelude import Map, Value, call, digest, emit, export, height, init, query, require, signers

KINDS = ["city-hospital", "county-hospital", "township-centre", "commission", "insurer", "research"]
PROPOSALS = [
    "add_institution", "remove_institution", "add_node", "remove_node", "set_validators", "set_parameters",
]
NODE_ROLES = ["validator", "observer"]

# Lowest and highest value of each consensus parameter; the protocol has the same table.
PARAMETER_BOUNDS = {
    "block_bytes": [65536, 8323072],
    "block_transactions": [1, 10000],
    "call_gas": [10000, 100000000],
    "block_gas": [1000000, 1000000000],
    "validity_window": [16, 1000000],
    "view_timeout": [100, 60000],
    "view_timeout_cap": [1000, 600000],
    "empty_block_interval": [1000, 3600000],
    "proposer_term": [1, 1000000],
    "clock_ahead": [100, 600000],
}

# What holds where the founders said nothing; that of `ledger.chain.constitution`.
DEFAULT_VALIDITY_WINDOW = 10000

# With four validators one may fail; a consortium that has them never goes below.
SAFE_VALIDATORS = 4
MAX_VALIDATORS = 100
MAX_MEMBERS = 10000
MAX_OPEN_PROPOSALS = 32
NOTICE = 2
# A change decided for a distant height would stand in the way of every nearer one.
LONGEST_NOTICE = 100000
MAX_ID = 64
MAX_NAME = 200
MAX_CERTIFICATE = 8192
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
KEY_PREFIX = "01"
KEY_LENGTH = 66
HEX_DIGITS = "0123456789abcdef"
SOURCE_TAG = b"health-ledger/contract-source\x00"

institutions = Map("institutions")
institution_index = Value("institution_index")
nodes = Map("nodes")
node_index = Value("node_index")
validators = Value("validators")
parameters = Value("parameters")
contract_entries = Map("contracts")
contract_sources = Map("sources")
proposals = Map("proposals")
proposal_count = Value("proposal_count")
open_proposals = Value("open_proposals")


@init
def found(institutions: list, nodes: list, parameters: dict, contracts: list) -> None:
    """Write down the founding agreement: members, nodes, validators, parameters, contracts."""
    institution_index.set([])
    node_index.set([])
    for details in institutions:
        write_institution(details)
    for details in nodes:
        write_node(details)
    members = [member_of_node(details["id"]) for details in nodes if details["role"] == "validator"]
    require(0 < len(members) and len(members) <= MAX_VALIDATORS, "bad_validators", "1 to 100 validators")
    validators.set([{"from": 0, "members": members}])
    begin_parameters(parameters)
    for contract in contracts:
        hash = digest(SOURCE_TAG + contract["source"].encode()).hex()
        contract_sources[hash] = contract["source"]
        contract_entries[contract["name"]] = {"version": 1, "source": hash, "from": 0}


# --- Proposals and votes -----------------------------------------------------------------------


@export
def propose(kind: str, payload: dict, activation: int) -> int:
    """A governor of a voting institution proposes a change; returns the number to vote on.

    Who may vote, and how many must approve, is fixed now. Proposing is not voting.
    """
    require(kind in PROPOSALS, "unknown_proposal", "not a kind of proposal")
    require(activation >= height() + NOTICE, "too_late", "a change needs two blocks of notice")
    require(activation <= height() + LONGEST_NOTICE, "too_far", "at most 100,000 blocks ahead")
    voters = voting_institutions()
    governor_of(voters, "")
    check_change(kind, payload, activation)
    waiting = [number for number in open_proposals.get([]) if proposals[number]["activation"] >= height() + NOTICE]
    require(len(waiting) < MAX_OPEN_PROPOSALS, "too_many_proposals", "decide the open ones first")
    number = proposal_count.get(0) + 1
    proposal_count.set(number)
    waiting.append(number)
    open_proposals.set(waiting)
    proposals[number] = {
        "kind": kind, "payload": payload, "activation": activation, "opened": height(),
        "voters": voters, "approve": [], "reject": [], "status": "open", "problem": "",
    }
    emit("proposed", proposal=number, kind=kind, activation=activation)
    return number


@export
def vote(proposal: int, approve: bool, institution: str = "") -> str:
    """A governor casts the vote of an institution; returns what became of the proposal.

    An institution may vote again while the proposal is open; its last vote counts.
    """
    require(proposal in proposals, "unknown_proposal", "no proposal has that number")
    ballot = proposals[proposal]
    require(ballot["status"] == "open", "proposal_closed", "the vote is over")
    require(ballot["activation"] >= height() + NOTICE, "too_late", "the height of the change is too near")
    voter = governor_of(ballot["voters"], institution)
    ballot["approve"] = [other for other in ballot["approve"] if other != voter]
    ballot["reject"] = [other for other in ballot["reject"] if other != voter]
    if approve:
        ballot["approve"].append(voter)
    else:
        ballot["reject"].append(voter)
    count = len(ballot["voters"])
    if 3 * len(ballot["approve"]) > 2 * count:
        ballot["problem"] = problem_with(ballot["kind"], ballot["payload"], ballot["activation"])
        ballot["status"] = "passed" if ballot["problem"] == "" else "void"
        if ballot["status"] == "passed":
            apply_change(ballot["kind"], ballot["payload"], ballot["activation"])
    elif 3 * (count - len(ballot["reject"])) <= 2 * count:
        ballot["status"] = "rejected"
    proposals[proposal] = ballot
    if ballot["status"] != "open":
        open_proposals.set([number for number in open_proposals.get([]) if number != proposal])
        emit("decided", proposal=proposal, status=ballot["status"])
    return ballot["status"]


def voting_institutions() -> list:
    """The institutions that run a validator at this height, each once."""
    voters = []
    for member in entry_in_force(validators.get())["members"]:
        if member["institution"] not in voters:
            voters.append(member["institution"])
    return voters


def governor_of(voters: list, institution: str) -> str:
    """The one voting institution for which the signer is governor."""
    governor = call("registry", "holding", key=signers()[0], role="governor")
    own = [voter for voter in governor["institutions"] if voter in voters]
    if institution != "":
        own = [voter for voter in own if voter == institution]
    require(len(own) > 0, "not_a_governor", "the signer governs no institution that has a vote")
    require(len(own) == 1, "institution_unclear", "say for which institution the vote is")
    return own[0]


def check_change(kind: str, payload: dict, activation: int) -> None:
    problem = problem_with(kind, payload, activation)
    require(problem == "", problem, "the proposed change is not possible")


def problem_with(kind: str, payload: dict, activation: int) -> str:
    """Why a change is impossible as things stand now, or nothing."""
    if kind == "add_institution":
        return problem_with_institution(payload["institution"])
    if kind == "remove_institution":
        return problem_with_removal(payload["id"])
    if kind == "add_node":
        return problem_with_node(payload)
    if kind == "remove_node":
        if payload["id"] not in nodes:
            return "unknown_node"
        return "node_validates" if payload["id"] in scheduled_nodes() else ""
    if kind == "set_validators":
        return problem_with_validators(payload["nodes"], activation)
    return problem_with_parameters(payload["values"], activation)


def apply_change(kind: str, payload: dict, activation: int) -> None:
    if kind == "add_institution":
        write_institution(payload["institution"])
        people = payload.get("people", [])
        for person in people:
            require(person["institution"] == payload["institution"]["id"], "not_affiliated")
        call("registry", "admit", people=people)
    elif kind == "remove_institution":
        details = institutions[payload["id"]]
        details["status"] = "left"
        institutions[payload["id"]] = details
        institution_index.set([id for id in institution_index.get() if id != payload["id"]])
        call("registry", "close_institution", institution=payload["id"])
    elif kind == "add_node":
        write_node(payload)
        officer = {
            "id": payload["id"], "institution": payload["institution"],
            "roles": ["node", "records-officer"], "keys": [payload["key"]],
        }
        call("registry", "admit", people=[officer])
    elif kind == "remove_node":
        del nodes[payload["id"]]
        node_index.set([id for id in node_index.get() if id != payload["id"]])
        call("registry", "dismiss", id=payload["id"])
    elif kind == "set_validators":
        members = [member_of_node(id) for id in payload["nodes"]]
        validators.set(continued(validators.get(), {"from": activation, "members": members}))
    else:
        schedule = parameters.get()
        values = merged(schedule[-1]["values"], payload["values"])
        parameters.set(remembered(schedule, {"from": activation, "values": values}))


# --- Members and nodes -------------------------------------------------------------------------


def problem_with_institution(details: dict) -> str:
    if not is_id(details["id"]):
        return "bad_id"
    if details["id"] in institutions:
        return "institution_exists"
    if details["kind"] not in KINDS:
        return "unknown_kind"
    for field in ["name", "name_zh", "county"]:
        if len(details[field]) > MAX_NAME:
            return "bad_name"
    if len(details["name"]) == 0:
        return "bad_name"
    if len(details["ca"]) > MAX_CERTIFICATE:
        return "bad_certificate"
    return "too_many_members" if len(institution_index.get()) >= MAX_MEMBERS else ""


def problem_with_removal(id: str) -> str:
    if not is_member(id):
        return "not_a_member"
    for node in node_index.get():
        if nodes[node]["institution"] == id:
            return "institution_has_nodes"
    return ""


def problem_with_node(details: dict) -> str:
    if not is_id(details["id"]):
        return "bad_id"
    if details["id"] in nodes:
        return "node_exists"
    if details["role"] not in NODE_ROLES:
        return "unknown_role"
    if not is_member(details["institution"]):
        return "not_a_member"
    if len(node_index.get()) >= MAX_MEMBERS:
        return "too_many_members"
    key = details["key"]
    if len(key) != KEY_LENGTH or not key.startswith(KEY_PREFIX):
        return "bad_key"
    if not all([digit in HEX_DIGITS for digit in key]):
        return "bad_key"
    for node in node_index.get():
        if nodes[node]["key"] == key:
            return "key_exists"
    return ""


def write_institution(details: dict) -> None:
    problem = problem_with_institution(details)
    require(problem == "", problem, "the institution cannot be entered")
    institutions[details["id"]] = {
        "id": details["id"], "name": details["name"], "name_zh": details["name_zh"],
        "kind": details["kind"], "county": details["county"], "ca": details["ca"],
        "status": "member", "since": height(),
    }
    institution_index.set(institution_index.get() + [details["id"]])


def write_node(details: dict) -> None:
    problem = problem_with_node(details)
    require(problem == "", problem, "the node cannot be entered")
    nodes[details["id"]] = {
        "id": details["id"], "institution": details["institution"], "key": details["key"],
        "role": details["role"], "since": height(),
    }
    node_index.set(node_index.get() + [details["id"]])


def is_id(text: str) -> bool:
    if len(text) == 0 or len(text) > MAX_ID:
        return False
    return all([letter in ID_LETTERS for letter in text])


# --- Validators and parameters -----------------------------------------------------------------


def entry_in_force(schedule: list) -> dict:
    """The last entry of a schedule that has begun."""
    current = schedule[0]
    for entry in schedule:
        if entry["from"] <= height():
            current = entry
    return current


def continued(schedule: list, entry: dict) -> list:
    """The schedule with one more entry, without those that have ended."""
    begun = entry_in_force(schedule)["from"]
    return [other for other in schedule if other["from"] >= begun] + [entry]


def remembered(schedule: list, entry: dict) -> list:
    """The schedule of the parameters with one more entry, without those that have ended for so long
    that no transaction from their time can be sent again: who joins by a snapshot has to know how
    far back to look for repeated ones."""
    kept = []
    ends = [other["from"] for other in schedule[1:]] + [entry["from"]]
    for place, other in enumerate(schedule):
        width = other["values"].get("validity_window", DEFAULT_VALIDITY_WINDOW)
        if ends[place] + width > height():
            kept.append(other)
    return kept + [entry]


def member_of_node(id: str) -> dict:
    node = nodes[id]
    return {"node": id, "institution": node["institution"], "key": node["key"]}


def scheduled_nodes() -> list:
    """Nodes that validate now or will by a change already decided."""
    begun = entry_in_force(validators.get())["from"]
    scheduled = []
    for entry in validators.get():
        if entry["from"] >= begun:
            scheduled.extend([member["node"] for member in entry["members"]])
    return scheduled


def problem_with_validators(ids: list, activation: int) -> str:
    schedule = validators.get()
    if activation <= schedule[-1]["from"]:
        return "out_of_order"
    if len(ids) < min(SAFE_VALIDATORS, len(schedule[-1]["members"])):
        return "too_few_validators"
    if len(ids) > MAX_VALIDATORS:
        return "too_many_validators"
    for place, id in enumerate(ids):
        if id not in nodes:
            return "unknown_node"
        if id in ids[:place]:
            return "node_twice"
    return ""


def problem_with_parameters(values: dict, activation: int) -> str:
    schedule = parameters.get()
    if activation <= schedule[-1]["from"]:
        return "out_of_order"
    return problem_with_values(merged(schedule[-1]["values"], values))


def merged(old: dict, new: dict) -> dict:
    """The old values with the new ones in their place."""
    values = {name: value for name, value in old.items()}
    for name in new:
        values[name] = new[name]
    return values


def problem_with_values(values: dict) -> str:
    for name in values:
        if name not in PARAMETER_BOUNDS:
            return "unknown_parameter"
        lowest, highest = PARAMETER_BOUNDS[name]
        if str(values[name]) != str(int(values[name])) or not lowest <= values[name] <= highest:
            return "out_of_bounds"
    if "view_timeout" in values and "view_timeout_cap" in values:
        if values["view_timeout"] > values["view_timeout_cap"]:
            return "out_of_bounds"
    return ""


def begin_parameters(values: dict) -> None:
    problem = problem_with_values(values)
    require(problem == "", problem, "the founding parameters are not possible")
    parameters.set([{"from": 0, "values": values}])


# --- Questions ---------------------------------------------------------------------------------


@query
def institution(id: str) -> dict | None:
    """The entry of an institution, or nothing."""
    return institutions.get(id)


@query
def is_member(id: str) -> bool:
    """Whether an institution belongs to the consortium now."""
    details = institutions.get(id)
    return details is not None and details["status"] == "member"


@query
def is_known(id: str) -> bool:
    """Whether an institution of this id ever belonged to the consortium."""
    return id in institutions


@query
def node(id: str) -> dict | None:
    """The entry of a node, or nothing."""
    return nodes.get(id)


@query
def members() -> dict:
    """All institutions and nodes, in the order in which they joined."""
    return {
        "institutions": [institutions[id] for id in institution_index.get()],
        "nodes": [nodes[id] for id in node_index.get()],
    }


@query
def proposal(number: int) -> dict | None:
    """A proposal with its votes, or nothing."""
    return proposals.get(number)
