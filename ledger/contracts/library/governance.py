"""Governance: the members of the consortium, their nodes, and which of them validate.

Members, validators and parameters change by a vote under the rules of the contract `policy`, in
which the governors of the institutions take part. Validators, their keys and parameters change at a
height that is named beforehand, so that every node changes at the same block. Without a vote a
governor can do one thing: give a node of her own institution another signing key, which binds nobody
else.
"""

from ledger.contracts.prelude import Map, Value, call, emit, export, height, init, query, require, signers

KINDS = [
    "provincial-hospital", "city-hospital", "county-hospital", "township-centre", "community-centre",
    "village-station", "internet-hospital", "maternal-child", "cdc", "emergency-service", "pharmacy",
    "commission", "insurer", "research", "university", "vendor", "care-home", "hospice", "nursery", "school",
    "custody", "police", "civil-affairs", "employer", "charity", "patient-body", "other-department",
]
PROPOSALS = [
    "add_institution", "remove_institution", "add_node", "remove_node", "rotate_key",
    "add_authority", "remove_authority", "set_validators", "set_parameters",
]
NODE_ROLES = ["validator", "observer"]

# With four validators one may fail; a consortium that has them never goes below.
SAFE_VALIDATORS = 4
MAX_VALIDATORS = 100
MAX_MEMBERS = 10000
NOTICE = 2
# A change decided for a distant height would stand in the way of every nearer one.
LONGEST_NOTICE = 100000
# Heights at which the validators or their keys will change, each with a copy of the whole set.
MAX_COMING_CHANGES = 16
MAX_ID = 64
MAX_NAME = 200
MAX_CERTIFICATE = 8192
ID_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
KEY_PREFIX = "01"
KEY_LENGTH = 66
HEX_DIGITS = "0123456789abcdef"

institutions = Map("institutions")
institution_index = Value("institution_index")
nodes = Map("nodes")
node_index = Value("node_index")
# Every signing key that a node ever had → whose it was, and from and before which height; 0 stands
# for no end. What somebody signed is brought home to an institution by it, also years later.
node_keys = Map("node_keys")
# Which nodes validate, as voted. `validators` follows from it and from the nodes' keys.
seats = Value("seats")
validators = Value("validators")
proposals = Map("proposals")
proposal_count = Value("proposal_count")


@init
def found(institutions: list, nodes: list) -> None:
    """Write down the founding agreement: members, nodes, validators."""
    institution_index.set([])
    node_index.set([])
    for details in institutions:
        write_institution(details)
    for details in nodes:
        write_node(details)
    seated = [details["id"] for details in nodes if details["role"] == "validator"]
    require(0 < len(seated) and len(seated) <= MAX_VALIDATORS, "bad_validators", "1 to 100 validators")
    seats.set([{"from": 0, "nodes": seated}])
    validators.set([{"from": 0, "members": [member_of_node(id, 0) for id in seated]}])


# --- Proposals and votes -----------------------------------------------------------------------


@export
def propose(kind: str, payload: dict, activation: int, institution: str = "") -> int:
    """A governor of an institution that may propose puts a change to the vote; returns its number.

    Who may vote, and how many must approve, is fixed now. Proposing is not voting.
    """
    require(kind in PROPOSALS, "unknown_proposal", "not a kind of proposal")
    check_notice(activation)
    number = proposal_count.get(0) + 1
    proposal_count.set(number)
    rule = "parameters" if kind == "set_parameters" else "members"
    call("policy", "put", number=number, rule=rule, closes=activation - NOTICE, institution=institution)
    check_change(kind, payload, activation)
    proposals[number] = {
        "kind": kind, "payload": payload, "activation": activation, "opened": height(),
        "status": "open", "problem": "",
    }
    emit("proposed", proposal=number, kind=kind, activation=activation)
    return number


@export
def vote(proposal: int, approve: bool, institution: str = "") -> str:
    """A governor casts the vote of an institution; returns what became of the proposal.

    An institution may vote again while the proposal is open; its last vote counts.
    """
    return concluded(proposal, call("policy", "cast", number=proposal, approve=approve, institution=institution))


@export
def count(proposal: int) -> str:
    """Let a vote whose time is over be decided; returns what became of the proposal."""
    return concluded(proposal, call("policy", "count", number=proposal))


def concluded(number: int, status: str) -> str:
    if status == "open":
        return status
    change = proposals[number]
    if status == "passed":
        change["problem"] = problem_with(change["kind"], change["payload"], change["activation"])
        if change["problem"] == "":
            apply_change(change["kind"], change["payload"], change["activation"])
        else:
            status = "void"
    change["status"] = status
    proposals[number] = change
    emit("decided", proposal=number, status=status)
    return status


@export
def rotate_key(node: str, key: str, activation: int) -> None:
    """A governor gives a node of her own institution another signing key, from a height on.

    The old key signs votes before that height, the new one from it on; transactions may bear either
    until then.
    """
    require(node in nodes, "unknown_node", "no node has that id")
    institution = nodes[node]["institution"]
    call("registry", "acting", key=signers()[0], institution=institution, roles=["governor"])
    check_notice(activation)
    payload = {"id": node, "key": key}
    check_change("rotate_key", payload, activation)
    apply_change("rotate_key", payload, activation)


def check_notice(activation: int) -> None:
    require(activation >= height() + NOTICE, "too_late", "a change needs two blocks of notice")
    require(activation <= height() + LONGEST_NOTICE, "too_far", "at most 100,000 blocks ahead")


def check_change(kind: str, payload: dict, activation: int) -> None:
    problem = problem_with(kind, payload, activation)
    require(problem == "", problem, "the proposed change is not possible")


def problem_with(kind: str, payload: dict, activation: int) -> str:
    """Why a change is impossible as things stand now, or nothing."""
    if kind == "add_institution":
        if len(payload["institution"]["ca"]) > MAX_CERTIFICATE:
            return "bad_certificate"
        return problem_with_institution(payload["institution"])
    if kind == "remove_institution":
        return problem_with_removal(payload["id"])
    if kind == "add_node":
        return problem_with_node(payload)
    if kind == "remove_node":
        if payload["id"] not in nodes:
            return "unknown_node"
        return "node_validates" if payload["id"] in scheduled_nodes() else ""
    if kind == "rotate_key":
        return problem_with_rotation(payload)
    if kind == "add_authority":
        return call(
            "authorities", "problem_with_adding",
            institution=payload["institution"], certificate=payload["certificate"],
        )
    if kind == "remove_authority":
        return call(
            "authorities", "problem_with_removing",
            institution=payload["institution"], authority=payload["authority"], at=activation,
        )
    if kind == "set_validators":
        return problem_with_validators(payload["nodes"], activation)
    return call("parameters", "problem_with", values=payload["values"], at=activation)


def apply_change(kind: str, payload: dict, activation: int) -> None:
    if kind == "add_institution":
        details = payload["institution"]
        write_institution(details)
        call("authorities", "add", institution=details["id"], certificate=details["ca"])
        people = payload.get("people", [])
        for person in people:
            require(person["institution"] == details["id"], "not_affiliated")
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
        for entry in nodes[payload["id"]]["keys"]:
            end_key(entry["key"], height())
        del nodes[payload["id"]]
        node_index.set([id for id in node_index.get() if id != payload["id"]])
        call("registry", "dismiss", id=payload["id"])
    elif kind == "rotate_key":
        change_key(payload["id"], payload["key"], activation)
    elif kind == "add_authority":
        call("authorities", "add", institution=payload["institution"], certificate=payload["certificate"])
    elif kind == "remove_authority":
        call(
            "authorities", "remove",
            institution=payload["institution"], authority=payload["authority"], at=activation,
        )
    elif kind == "set_validators":
        seats.set(continued(seats.get(), {"from": activation, "nodes": payload["nodes"]}))
        reseat()
    else:
        call("parameters", "change", values=payload["values"], at=activation)


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
    return problem_with_key(details["key"])


def problem_with_key(key: str) -> str:
    if len(key) != KEY_LENGTH or not key.startswith(KEY_PREFIX):
        return "bad_key"
    if not all([digit in HEX_DIGITS for digit in key]):
        return "bad_key"
    return "key_exists" if key in node_keys else ""


def problem_with_rotation(payload: dict) -> str:
    if payload["id"] not in nodes:
        return "unknown_node"
    problem = problem_with_key(payload["key"])
    if problem == "" and call("registry", "whois", key=payload["key"]) is not None:
        problem = "key_exists"
    if problem == "" and nodes[payload["id"]]["keys"][-1]["from"] > height():
        problem = "rotation_pending"
    if problem == "" and len(coming_changes()) >= MAX_COMING_CHANGES:
        problem = "too_many_changes"
    return problem


def write_institution(details: dict) -> None:
    problem = problem_with_institution(details)
    require(problem == "", problem, "the institution cannot be entered")
    institutions[details["id"]] = {
        "id": details["id"], "name": details["name"], "name_zh": details["name_zh"],
        "kind": details["kind"], "county": details["county"],
        "status": "member", "since": height(),
    }
    institution_index.set(institution_index.get() + [details["id"]])


def write_node(details: dict) -> None:
    problem = problem_with_node(details)
    require(problem == "", problem, "the node cannot be entered")
    nodes[details["id"]] = {
        "id": details["id"], "institution": details["institution"],
        "keys": [{"from": height(), "key": details["key"]}],
        "role": details["role"], "since": height(),
    }
    begin_key(details["key"], details["id"], height())
    node_index.set(node_index.get() + [details["id"]])


def begin_key(key: str, node: str, at: int) -> None:
    node_keys[key] = {"node": node, "institution": nodes[node]["institution"], "from": at, "until": 0}


def end_key(key: str, at: int) -> None:
    entry = node_keys[key]
    entry["until"] = at
    node_keys[key] = entry


def change_key(id: str, key: str, activation: int) -> None:
    """Let a key take over from the present one at a height."""
    node = nodes[id]
    present = entry_in_force(node["keys"])
    node["keys"] = [present, {"from": activation, "key": key}]
    nodes[id] = node
    end_key(present["key"], activation)
    begin_key(key, id, activation)
    call("registry", "replace_node_key", id=id, old=present["key"], new=key, until=activation)
    if id in scheduled_nodes():
        reseat()
    emit("key_rotates", node=id, institution=node["institution"], activation=activation)


def is_id(text: str) -> bool:
    if len(text) == 0 or len(text) > MAX_ID:
        return False
    return all([letter in ID_LETTERS for letter in text])


# --- Validators --------------------------------------------------------------------------------


def entry_in_force(schedule: list) -> dict:
    """The last entry of a schedule that has begun."""
    return entry_at(schedule, height())


def entry_at(schedule: list, at: int) -> dict:
    """The entry of a schedule that holds at a height."""
    current = schedule[0]
    for entry in schedule:
        if entry["from"] <= at:
            current = entry
    return current


def continued(schedule: list, entry: dict) -> list:
    """The schedule with one more entry, without those that have ended."""
    begun = entry_in_force(schedule)["from"]
    return [other for other in schedule if other["from"] >= begun] + [entry]


def member_of_node(id: str, at: int) -> dict:
    """A node as a validator of a height."""
    node = nodes[id]
    return {"node": id, "institution": node["institution"], "key": entry_at(node["keys"], at)["key"]}


def coming_changes() -> list:
    """The heights to come at which who validates changes, or with which key, ascending."""
    coming = []
    for seated in seats.get():
        if seated["from"] > height() and seated["from"] not in coming:
            coming.append(seated["from"])
    for id in scheduled_nodes():
        begins = nodes[id]["keys"][-1]["from"]
        if begins > height() and begins not in coming:
            coming.append(begins)
    return sorted(coming)


def reseat() -> None:
    """Work out the validator sets to come, from who has a seat when and with which key.

    The set that is in force stays as it is, and so does the next height's: nothing is changed with
    less than two blocks of notice.
    """
    schedule = [entry_in_force(validators.get())]
    for at in coming_changes():
        members = [member_of_node(id, at) for id in entry_at(seats.get(), at)["nodes"]]
        if members != schedule[-1]["members"]:
            schedule.append({"from": at, "members": members})
    validators.set(schedule)


def scheduled_nodes() -> list:
    """Nodes that validate now or will by a change already decided, each once."""
    begun = entry_in_force(seats.get())["from"]
    scheduled = []
    for entry in seats.get():
        if entry["from"] >= begun:
            scheduled.extend([id for id in entry["nodes"] if id not in scheduled])
    return scheduled


def problem_with_validators(ids: list, activation: int) -> str:
    schedule = seats.get()
    if activation <= schedule[-1]["from"]:
        return "out_of_order"
    if len(coming_changes()) >= MAX_COMING_CHANGES:
        return "too_many_changes"
    if len(ids) < min(SAFE_VALIDATORS, len(schedule[-1]["nodes"])):
        return "too_few_validators"
    if len(ids) > MAX_VALIDATORS:
        return "too_many_validators"
    for place, id in enumerate(ids):
        if id not in nodes:
            return "unknown_node"
        if id in ids[:place]:
            return "node_twice"
    return ""


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
def key_holder(key: str) -> dict | None:
    """Whose signing key this is or was: node, institution, and the heights of it; or nothing."""
    return node_keys.get(key)


@query
def validating() -> list:
    """The validators of this height, with institution and key."""
    return entry_in_force(validators.get())["members"]


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
    found = proposals.get(number)
    if found is None:
        return None
    ballot = call("policy", "ballot", owner="governance", number=number)
    if found["status"] == "open":
        found["status"] = ballot["status"]
    found["voters"] = [voter["institution"] for voter in ballot["voters"]]
    found["approve"] = ballot["approve"]
    found["reject"] = ballot["reject"]
    return found
