"""Pseudonyms: under which key national ids become pseudonyms, who holds its shares, how they got them.

The key is held by the validators together, t of n, and by nobody whole. It is made, and shared anew
when the validators change, in ceremonies, of which this contract is the public board: it orders what
the parties say, closes each stage once all have spoken or the time is over, and takes as the result
what enough of them confirm. It cannot compute with the group itself. What it keeps lets anybody
compute the result again, also somebody who was not there.

There is one key for patients in each generation, and one for each approved study, made for it and
deleted with it. A generation begins by a vote of the members.

Each validator says for every day how much each institution has asked it. Who tries out ids is seen.
"""

from ledger.contracts.prelude import Map, Value, call, caller, digest, emit, encode, export, fail, height, init, now, offers, query, require, signers

HEX_DIGITS = "0123456789abcdef"
HASH_BYTES = 32
KEY_BYTES = 32
POINT_BYTES = 32
SHARE_BYTES = 32
# A share sealed to the key of a ceremony: encapsulated key, share, tag.
SEALED_BYTES = 80
MAX_PARTIES = 100
MAX_OPEN = 16
MAX_ACTIVE = 256
MAX_GRANTS = 64
MAX_KINDS = 32
MAX_INSTITUTIONS = 10000
MAX_ID = 64
DAY = 86400000
# So long after its approval ran out a study may still be renewed, before its key is deleted.
GRACE = 7776000000
# A ceremony that came to nothing is not tried again at once.
PAUSE = 60000

STAGES = ["join", "deal", "judge", "answer", "confirm"]
PATIENTS = "patients."
STUDY = "study."

# quota: how many ids an institution may ask a validator about in a day; study_quota: the same for a
# study; alarm: how many make the day noticed; stage_seconds: how long a stage of a ceremony waits
# for the silent; refresh_days: how old shares get; generation: of the key for patients.
BOUNDS = {
    "quota": [0, 100000000], "study_quota": [0, 100000000], "alarm": [0, 100000000],
    "stage_seconds": [2, 86400], "refresh_days": [1, 3650], "generation": [1, 16],
}
DEFAULTS = {
    "quota": 20000, "study_quota": 20000, "alarm": 10000, "stage_seconds": 120, "refresh_days": 90,
    "generation": 1,
}
# Kinds of institutions that register patients. Others ask about nobody.
ASKERS = [
    "provincial-hospital", "city-hospital", "county-hospital", "township-centre", "community-centre",
    "village-station", "internet-hospital", "maternal-child", "cdc", "emergency-service", "insurer",
    "care-home", "hospice", "custody",
]

settings = Value("settings")
ceremonies = Map("ceremonies")
ceremony_count = Value("ceremony_count")
# Numbers of the ceremonies that are going on, so that a node finds them with one look.
open_ceremonies = Value("open")
running = Map("running")
tried = Map("tried")
keys = Map("keys")
dealings = Map("dealings")
verdicts = Map("verdicts")
answers = Map("answers")
confirmed = Map("confirmed")
epochs = Map("epochs")
current = Map("current")
active = Value("active")
usage = Map("usage")
carried = Map("carried")


@init
def found(values: dict = {}) -> None:
    """Take over the parameters; those that are not named have their defaults."""
    begun: dict = {name: value for name, value in DEFAULTS.items()}
    begun["grants"] = {}
    begun["askers"] = ASKERS
    settings.set(checked(merged(begun, values)))
    open_ceremonies.set([])
    active.set([])


@export
def amend(county: str, values: dict) -> None:
    """Set parameters, for all. `grants` (institution → quota of its own) and `askers` are replaced
    whole. A generation follows the one before it and is never taken back."""
    require(caller() == "charter", "charter_only", "this follows a vote of the members")
    require(county == "", "not_by_county", "the key is one for all")
    old = settings.get()
    begun = old["generation"]
    new = checked(merged(old, values))
    require(new["generation"] in [begun, begun + 1], "out_of_order", "a generation follows the one before it")
    require(new["generation"] == begun or (PATIENTS + str(begun)) in current, "too_early", "the key of this generation is not there yet")
    settings.set(new)


def merged(old: dict, new: dict) -> dict:
    for name in new:
        old[name] = new[name]
    return old


def checked(values: dict) -> dict:
    for name in values:
        if name == "grants":
            require(len(values[name]) <= MAX_GRANTS, "out_of_bounds", "at most 64 institutions with a quota of their own")
            for institution in values[name]:
                require(0 <= values[name][institution] and values[name][institution] <= BOUNDS["quota"][1], "out_of_bounds")
        elif name == "askers":
            require(len(values[name]) <= MAX_KINDS and all([len(kind) <= MAX_ID for kind in values[name]]), "out_of_bounds")
        else:
            require(name in BOUNDS, "unknown_parameter", "the contract has no such parameter")
            lowest, highest = BOUNDS[name]
            require(lowest <= values[name] and values[name] <= highest, "out_of_bounds", "the parameter has bounds")
    return values


# --- Ceremonies --------------------------------------------------------------------------------


@export
def open(domain: str) -> int:
    """A node begins to make the key of a domain, or to share it anew; returns the ceremony's number.

    A domain is "patients.1" and so on by generation, or "study." and the id of an approved study. A
    key that is there is shared anew by a validator: when the validators are not those that hold it,
    when its shares are old, and after a day by a holder, who may have lost its own.
    """
    node = speaking()
    require(domain not in running, "already_open", "a ceremony for it is going on")
    require(len(open_ceremonies.get()) < MAX_OPEN, "too_many_open", "others first")
    require(now() >= tried.get(domain, 0), "too_early", "the last one has just failed")
    validators = call("governance", "validating")
    known = current.get(domain)
    if known is None:
        check_domain(domain)
        kind = "make"
        dealers: list = []
    else:
        kind = "renew"
        epoch = epochs[domain, known]
        dealers = [holder["node"] for holder in epoch["holders"]]
        seated = [member["node"] for member in validators]
        require(node in seated, "not_a_validator", "validators share a key anew")
        old = now() >= epoch["time"] + settings.get()["refresh_days"] * DAY
        lost = node in dealers and now() >= epoch["time"] + DAY
        require(old or lost or sorted(dealers) != sorted(seated), "nothing_to_do", "the validators hold it, and it is fresh")
    number = ceremony_count.get(0) + 1
    ceremony_count.set(number)
    size = len(validators)
    tolerated = (size - 1) // 3
    ceremonies[number] = {
        "number": number, "domain": domain, "kind": kind, "epoch": 1 if known is None else known + 1,
        "validators": [{"node": member["node"], "institution": member["institution"]} for member in validators],
        "threshold": size - tolerated, "tolerated": tolerated, "dealers": dealers, "members": [],
        "stage": "join", "due": now() + wait(), "opened": height(), "time": now(), "by": node, "problem": "",
    }
    running[domain] = number
    open_ceremonies.set(open_ceremonies.get() + [number])
    emit("opened", ceremony=number, domain=domain, kind=kind)
    return number


def check_domain(domain: str) -> None:
    if domain.startswith(STUDY):
        problem = study_problem(domain[len(STUDY):])
        require(problem == "", problem, "a study gets a key while it is approved")
        require(len(active.get()) < MAX_ACTIVE, "too_many_keys", "retire those of studies that are over")
    else:
        require(domain == PATIENTS + str(settings.get()["generation"]), "unknown_domain", "no such key is due")


def study_problem(study: str) -> str:
    """Why a study has no key, or nothing."""
    if offers("research", "get") != "query":
        return "no_research"
    found = call("research", "get", id=study)
    if found is None:
        return "unknown_study"
    return "" if found["status"] == "approved" and now() < found["ends"] else "not_approved"


@export
def join(number: int, key: bytes) -> None:
    """A validator takes part, with an X25519 key that it made for this ceremony alone."""
    node = speaking()
    ceremony = at_stage(number, "join")
    require(node in [member["node"] for member in ceremony["validators"]], "not_a_validator", "the validators take part")
    require(len(key) == KEY_BYTES, "bad_key", "an X25519 key has 32 bytes")
    require((number, node) not in keys, "said_before", "everybody speaks once in a stage")
    keys[number, node] = key
    ceremony["members"] = [
        member["node"] for member in ceremony["validators"] if (number, member["node"]) in keys
    ]
    settle(ceremony)


@export
def deal(number: int, commitments: list, sealed: dict) -> None:
    """A dealer gives every member a share, sealed, and commits to them all in public."""
    node = speaking()
    ceremony = at_stage(number, "deal")
    require(node in dealers_of(ceremony), "not_a_dealer", "others deal in this ceremony")
    require((number, node) not in dealings, "said_before", "everybody speaks once in a stage")
    require(len(commitments) == ceremony["threshold"], "bad_commitments", "one for each coefficient")
    require(all([len(point) == POINT_BYTES for point in commitments]), "bad_commitments", "32 bytes each")
    for member in sealed:
        require(member in ceremony["members"], "not_a_member", "shares are for members")
        require(len(sealed[member]) == SEALED_BYTES, "bad_share", "a sealed share has 80 bytes")
    dealings[number, node] = {"commitments": commitments, "sealed": sealed}
    settle(ceremony)


@export
def judge(number: int, complaints: list) -> None:
    """A member says of which dealers it has no good share; none is the rule."""
    node = speaking()
    ceremony = at_stage(number, "judge")
    require(node in ceremony["members"], "not_a_member", "members judge")
    require((number, node) not in verdicts, "said_before", "everybody speaks once in a stage")
    require(len(complaints) <= len(dealers_of(ceremony)), "bad_complaints")
    for dealer in complaints:
        require((number, dealer) in dealings, "bad_complaints", "who dealt nothing needs no complaint")
    verdicts[number, node] = complaints
    settle(ceremony)


@export
def answer(number: int, shares: dict) -> None:
    """A dealer shows the shares of those who complained of it, in the open."""
    node = speaking()
    ceremony = at_stage(number, "answer")
    accusers = accusers_of(ceremony, node)
    require(len(accusers) > 0, "not_accused", "nobody complained")
    require((number, node) not in answers, "said_before", "everybody speaks once in a stage")
    for member in shares:
        require(member in accusers, "not_an_accuser", "no other share is shown")
        require(len(shares[member]) == SHARE_BYTES, "bad_share", "a share has 32 bytes")
    answers[number, node] = shares
    settle(ceremony)


@export
def confirm(number: int, public: bytes, verification: list, qualified: list, transcript: bytes) -> None:
    """A member says what it has computed from all that was said: the public key, the verification
    share of every member in their order, the dealers that count, and the hash of the transcript."""
    node = speaking()
    ceremony = at_stage(number, "confirm")
    require(node in ceremony["members"], "not_a_member", "members confirm")
    require((number, node) not in confirmed, "said_before", "everybody speaks once in a stage")
    require(len(public) == POINT_BYTES and len(transcript) == HASH_BYTES, "bad_result", "32 bytes each")
    require(len(verification) == len(ceremony["members"]), "bad_result", "one share for each member")
    require(all([len(point) == POINT_BYTES for point in verification]), "bad_result", "32 bytes each")
    require(len(qualified) <= len(dealers_of(ceremony)), "bad_result", "dealers of this ceremony")
    result = digest(encode([public, verification, qualified, transcript]))
    confirmed[number, node] = result
    agreed = [member for member in ceremony["members"] if confirmed.get((number, member)) == result]
    if len(agreed) >= ceremony["threshold"]:
        conclude(ceremony, public, verification, qualified, transcript, agreed)
    else:
        settle(ceremony)


@export
def tick(number: int) -> str:
    """Anybody lets a stage end whose time is over; returns the stage that it is then."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    ceremony = ceremonies.get(number)
    require(ceremony is not None, "unknown_ceremony", "there is none of that number")
    if ceremony["stage"] in STAGES:
        settle(ceremony)
    return ceremonies[number]["stage"]


def speaking() -> str:
    """The node whose key signs the transaction."""
    key = signers()[0]
    holder = call("governance", "key_holder", key=key)
    require(holder is not None, "not_a_node", "nodes speak here, each with its own key")
    require(holder["until"] == 0 or height() < holder["until"], "key_ended", "another key has taken over")
    return holder["node"]


def at_stage(number: int, stage: str) -> dict:
    """A ceremony that is at a stage now; fails for others. A stage whose time is over takes nothing."""
    ceremony = ceremonies.get(number)
    if ceremony is None:
        fail("unknown_ceremony", "there is none of that number")
    require(ceremony["stage"] == stage, "another_stage", "that is said at another stage")
    require(now() < ceremony["due"], "too_late", "the time of this stage is over")
    return ceremony


def dealers_of(ceremony: dict) -> list:
    return ceremony["members"] if ceremony["kind"] == "make" else ceremony["dealers"]


def accusers_of(ceremony: dict, dealer: str) -> list:
    return [member for member in ceremony["members"] if dealer in verdicts.get((ceremony["number"], member), [])]


def wait() -> int:
    return settings.get()["stage_seconds"] * 1000


def settle(ceremony: dict) -> None:
    """Go on to the next stage where everybody has spoken, or the time is over, as far as it goes."""
    number = ceremony["number"]
    over = now() >= ceremony["due"]
    stage = ceremony["stage"]
    if stage == "join" and (over or len(ceremony["members"]) == len(ceremony["validators"])):
        if len(ceremony["members"]) < ceremony["threshold"]:
            return end(ceremony, "failed", "too-few-joined")
        begin_stage(ceremony, "deal")
    elif stage == "deal":
        dealt = [dealer for dealer in dealers_of(ceremony) if (number, dealer) in dealings]
        if len(dealt) == len(dealers_of(ceremony)) or over:
            if len(dealt) <= ceremony["tolerated"]:
                return end(ceremony, "failed", "too-few-dealt")
            begin_stage(ceremony, "judge")
    elif stage == "judge":
        judged = [member for member in ceremony["members"] if (number, member) in verdicts]
        if len(judged) == len(ceremony["members"]) or over:
            accused = [dealer for dealer in dealers_of(ceremony) if len(accusers_of(ceremony, dealer)) > 0]
            begin_stage(ceremony, "confirm" if len(accused) == 0 else "answer")
    elif stage == "answer":
        silent = [
            dealer for dealer in dealers_of(ceremony)
            if len(accusers_of(ceremony, dealer)) > 0 and (number, dealer) not in answers
        ]
        if len(silent) == 0 or over:
            begin_stage(ceremony, "confirm")
    elif stage == "confirm":
        spoken = [member for member in ceremony["members"] if (number, member) in confirmed]
        if over or len(spoken) == len(ceremony["members"]):
            return end(ceremony, "failed", "not-agreed")
    ceremonies[number] = ceremony


def begin_stage(ceremony: dict, stage: str) -> None:
    ceremony["stage"] = stage
    ceremony["due"] = now() + wait()
    emit("stage", ceremony=ceremony["number"], stage=stage)


def end(ceremony: dict, stage: str, problem: str) -> None:
    ceremony["stage"] = stage
    ceremony["problem"] = problem
    ceremony["ended"] = height()
    ceremonies[ceremony["number"]] = ceremony
    del running[ceremony["domain"]]
    open_ceremonies.set([number for number in open_ceremonies.get() if number != ceremony["number"]])
    if stage == "failed":
        tried[ceremony["domain"]] = now() + PAUSE
        emit("failed", ceremony=ceremony["number"], domain=ceremony["domain"], problem=problem)


def conclude(ceremony: dict, public: bytes, verification: list, qualified: list, transcript: bytes, agreed: list) -> None:
    domain = ceremony["domain"]
    number = ceremony["epoch"]
    places = {member["node"]: member["institution"] for member in ceremony["validators"]}
    if number > 1:
        require(epochs[domain, number - 1]["public"] == public, "another_key", "a key that is shared anew stays")
    epochs[domain, number] = {
        "domain": domain, "number": number, "kind": ceremony["kind"], "ceremony": ceremony["number"],
        "public": public, "threshold": ceremony["threshold"], "transcript": transcript,
        "qualified": qualified, "confirmed": agreed, "height": height(), "time": now(),
        "holders": [
            {"node": node, "institution": places[node], "index": place + 1, "verification": verification[place]}
            for place, node in enumerate(ceremony["members"])
        ],
    }
    current[domain] = number
    if domain not in active.get():
        active.set(active.get() + [domain])
    end(ceremony, "done", "")
    emit("in_force", domain=domain, epoch=number, public=public, threshold=ceremony["threshold"])


@export
def retire(domain: str) -> None:
    """Anybody ends the key of a study that is over: its holders delete their shares, and what links
    the study's pseudonyms to patients is gone with them."""
    require(call("registry", "whois", key=signers()[0]) is not None, "unknown_key", "the signer is not in the registry")
    require(domain in current and domain.startswith(STUDY), "unknown_domain", "no such key of a study")
    require(domain not in running, "already_open", "a ceremony for it is going on")
    found = call("research", "get", id=domain[len(STUDY):])
    over = found is None or found["status"] == "ended" or found["ends"] + GRACE <= now()
    require(over, "not_over", "the study may still need it")
    del current[domain]
    active.set([other for other in active.get() if other != domain])
    tried[domain] = now() + 3650 * DAY
    emit("retired", domain=domain)


# --- Accounts ----------------------------------------------------------------------------------


@export
def account(day: int, counts: dict) -> None:
    """A validator says how many evaluations each institution had of it on a day (days since 1970
    UTC), once the day is over. `counts`: institution → number."""
    node = speaking()
    today = now() // DAY
    require(day < today and today <= day + 7, "bad_day", "a day that is over, of the last week")
    require((day, node) not in usage, "said_before", "a day is accounted for once")
    require(node in [member["node"] for member in call("governance", "validating")], "not_a_validator", "validators account")
    require(len(counts) <= MAX_INSTITUTIONS, "too_many")
    usage[day, node] = counts
    alarm = settings.get()["alarm"]
    noticed = [institution for institution in counts if counts[institution] > alarm]
    for institution in noticed[:32]:
        emit("noticed", institution=institution, day=day, node=node, count=counts[institution])


@export
def carry(institution: str, generation: int, count: int, root: bytes) -> None:
    """A records officer writes down that the pseudonyms of an institution were carried over to a new
    generation: how many, and the hash of the file with the proofs that old and new belong together."""
    who = call("registry", "acting", key=signers()[0], institution=institution, roles=["records-officer"])
    require(len(root) == HASH_BYTES, "bad_hash", "a hash has 32 bytes")
    require(1 < generation and (PATIENTS + str(generation)) in current, "unknown_generation", "there is no such key")
    require(0 < count, "bad_count", "at least one")
    carried[institution, generation] = {"count": count, "root": root, "by": who["id"], "height": height(), "time": now()}
    emit("carried", institution=institution, generation=generation, count=count)


# --- Questions ---------------------------------------------------------------------------------


@query
def key(domain: str) -> dict | None:
    """The key of a domain as it is held now, or nothing."""
    number = current.get(domain)
    return None if number is None else epochs[domain, number]


@query
def epoch(domain: str, number: int) -> dict | None:
    """How a key was held at some time, or nothing."""
    return epochs.get((domain, number))


@query
def ceremony(number: int) -> dict | None:
    """A ceremony without what was said in it, or nothing."""
    return ceremonies.get(number)


@query
def said(number: int) -> dict:
    """Everything that was said in a ceremony, for whoever computes its result again."""
    ceremony = ceremonies[number]
    members = ceremony["members"]
    dealers = dealers_of(ceremony)
    return {
        "keys": {member: keys[number, member] for member in members},
        "dealings": {dealer: dealings[number, dealer] for dealer in dealers if (number, dealer) in dealings},
        "verdicts": {member: verdicts[number, member] for member in members if (number, member) in verdicts},
        "answers": {dealer: answers[number, dealer] for dealer in dealers if (number, dealer) in answers},
    }


@query
def spoken(number: int, node: str) -> dict:
    """What a node has said in a ceremony, as it may have forgotten."""
    return {
        "joined": (number, node) in keys, "dealt": (number, node) in dealings, "judged": (number, node) in verdicts,
        "answered": (number, node) in answers, "confirmed": (number, node) in confirmed,
    }


@query
def quota(institution: str, domain: str) -> int:
    """How many evaluations an institution gets of each validator in a day for the key of a domain.

    For the keys of patients: what it was granted, or what all have whose kind registers patients.
    For that of a study: none for the institutions of the study's own team, who receive its data and
    are not to find out whose they are.
    """
    place = call("governance", "institution", id=institution)
    if place is None or place["status"] != "member" or domain not in current:
        return 0
    values = settings.get()
    if domain.startswith(STUDY):
        study = domain[len(STUDY):]
        if study_problem(study) != "" or place["kind"] not in values["askers"]:
            return 0
        team = [member["institution"] for member in call("research", "get", id=study)["team"]]
        return 0 if institution in team else values["study_quota"]
    if institution in values["grants"]:
        return values["grants"][institution]
    return values["quota"] if place["kind"] in values["askers"] else 0


@query
def used(day: int, node: str) -> dict | None:
    """What a validator has said of a day, or nothing."""
    return usage.get((day, node))


@query
def terms() -> dict:
    """The parameters, the domains that have a key, and the ceremonies that are going on."""
    return {"settings": settings.get(), "active": active.get(), "open": open_ceremonies.get()}


@query
def carried_over(institution: str, generation: int) -> dict | None:
    """What an institution has carried over to a generation, or nothing."""
    return carried.get((institution, generation))
