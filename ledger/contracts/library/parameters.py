"""Parameters of the consensus: how large blocks are, how long nodes wait for each other.

They are the same for every node and change at a height that is named beforehand, so that every node
changes at the same block. The members vote on them through the contract `governance`.
"""

from ledger.contracts.prelude import Value, caller, export, height, init, query, require

# Lowest and highest value of each; the protocol has the same table.
BOUNDS = {
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

# The protocol reads it: the entry of a height is the last one that has begun.
schedule = Value("schedule")


@init
def found(values: dict) -> None:
    """Write down the founding parameters."""
    problem = problem_with_values(values)
    require(problem == "", problem, "the founding parameters are not possible")
    schedule.set([{"from": 0, "values": values}])


@export
def change(values: dict, at: int) -> None:
    """Let other values hold from a height on; those that are not named stay. For governance alone."""
    require(caller() == "governance", "governance_only", "this follows a vote of the members")
    known = schedule.get()
    kept = []
    # An entry is kept until no transaction from its time can be sent again: who joins by a snapshot
    # has to know how far back to look for repeated ones.
    ends = [other["from"] for other in known[1:]] + [at]
    for place, other in enumerate(known):
        width = other["values"].get("validity_window", DEFAULT_VALIDITY_WINDOW)
        if ends[place] + width > height():
            kept.append(other)
    schedule.set(kept + [{"from": at, "values": merged(known[-1]["values"], values)}])


@query
def problem_with(values: dict, at: int) -> str:
    """Why other values are impossible as things stand now, or nothing."""
    known = schedule.get()
    if at <= known[-1]["from"]:
        return "out_of_order"
    return problem_with_values(merged(known[-1]["values"], values))


def merged(old: dict, new: dict) -> dict:
    """The old values with the new ones in their place."""
    values = {name: value for name, value in old.items()}
    for name in new:
        values[name] = new[name]
    return values


def problem_with_values(values: dict) -> str:
    for name in values:
        if name not in BOUNDS:
            return "unknown_parameter"
        lowest, highest = BOUNDS[name]
        if str(values[name]) != str(int(values[name])) or not lowest <= values[name] <= highest:
            return "out_of_bounds"
    if "view_timeout" in values and "view_timeout_cap" in values:
        if values["view_timeout"] > values["view_timeout_cap"]:
            return "out_of_bounds"
    return ""


@query
def in_force() -> dict:
    """The values of this height, as far as they were ever named."""
    current = schedule.get()[0]
    for entry in schedule.get():
        if entry["from"] <= height():
            current = entry
    return current["values"]
