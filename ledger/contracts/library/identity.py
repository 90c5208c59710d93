"""Identity: two pseudonyms that turn out to be one person, and one person that turns out to be two.

A registrar with a witness merges a duplicate into the pseudonym that survives, and can part them
again. Nothing is moved or rewritten: records, consents and decisions stay under the name that they
were made under. What changes is how `access` answers from then on. What she denied under either
name holds for the records of both; what was permitted counts under the surviving name alone.
"""

from ledger.contracts.prelude import Map, call, emit, export, fail, height, init, now, query, require, signers

FORM_BYTES = 32
# Of one person. Who comes to more has another problem than duplicates.
MAX_NAMES = 8

# Duplicate → the merge that is in force.
merges = Map("merges")
# Survivor → its duplicates, in the order in which they were merged.
groups = Map("groups")
# How many merges of a duplicate there were, and each with how it ended.
counts = Map("counts")
history = Map("history")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def merge(survivor: str, duplicate: str, institution: str, form: bytes) -> None:
    """A registrar with a witness says that two pseudonyms are one person.

    `form` is the hash of what shows it: a signed form that the institution keeps, or the proof that
    the two are one input under an old and a new key.
    """
    require(len(form) == FORM_BYTES, "form_missing", "a merge is shown by something that is kept")
    staff = call("registry", "witnessed", institution=institution)
    require(survivor != duplicate, "same_pseudonym", "two pseudonyms are merged")
    concerned = [patient_at(survivor, institution), patient_at(duplicate, institution)]
    require(True in concerned, "not_yours", "the institution has neither of them")
    require(duplicate not in merges, "already_merged", "the duplicate belongs to another already")
    require(duplicate not in groups, "has_duplicates", "part the duplicates of the duplicate first")
    require(survivor not in merges, "is_a_duplicate", "name the pseudonym that survives")
    names = groups.get(survivor, []) + [duplicate]
    require(len(names) < MAX_NAMES, "too_many_names", "at most eight names of one person")
    number = counts.get(duplicate, 0) + 1
    counts[duplicate] = number
    entry = {
        "survivor": survivor, "institution": institution, "by": staff, "form": form,
        "time": now(), "height": height(), "number": number,
    }
    merges[duplicate] = entry
    history[duplicate, number] = entry
    groups[survivor] = names
    call("access", "relate", survivor=survivor, duplicates=names, parted=[])
    emit("merged", survivor=survivor, duplicate=duplicate, institution=institution, tell=["patient"])


@export
def unmerge(duplicate: str, institution: str, form: bytes) -> None:
    """A registrar with a witness takes a merge back, which was a mistake.

    What was decided meanwhile stays decided. By the institution that merged, or one that either of
    the two belongs to.
    """
    require(len(form) == FORM_BYTES, "form_missing", "the correction is shown by something that is kept")
    staff = call("registry", "witnessed", institution=institution)
    entry = merges.get(duplicate)
    if entry is None:
        fail("not_merged", "the pseudonym is nobody's duplicate")
    survivor = entry["survivor"]
    concerned = [entry["institution"] == institution, belongs(survivor, institution), belongs(duplicate, institution)]
    require(True in concerned, "not_yours", "the institution has neither of them")
    names = [name for name in groups[survivor] if name != duplicate]
    del merges[duplicate]
    if len(names) == 0:
        del groups[survivor]
    else:
        groups[survivor] = names
    entry["ended"] = {"institution": institution, "by": staff, "form": form, "time": now(), "height": height()}
    history[duplicate, entry["number"]] = entry
    call("access", "relate", survivor=survivor, duplicates=names, parted=[duplicate])
    emit("parted", survivor=survivor, duplicate=duplicate, institution=institution, tell=["patient"])


def patient_at(id: str, institution: str) -> bool:
    """Whether a patient in good standing is one of an institution; fails for anybody else."""
    person = call("registry", "person", id=id)
    require(person is not None and person["status"] == "active", "unknown_person", "no patient of that pseudonym")
    require(person["affiliations"][0]["roles"] == ["patient"], "not_a_patient", "staff are not merged")
    return belongs(id, institution)


def belongs(id: str, institution: str) -> bool:
    person = call("registry", "person", id=id)
    return institution in [affiliation["institution"] for affiliation in person["affiliations"]]


# --- Questions ---------------------------------------------------------------------------------


@query
def person(id: str) -> dict:
    """The pseudonym under which a person's permissions count, and her other names."""
    entry = merges.get(id)
    survivor = id if entry is None else entry["survivor"]
    return {"survivor": survivor, "duplicates": groups.get(survivor, [])}


@query
def merged(duplicate: str) -> dict | None:
    """The merge of a duplicate that is in force, or nothing."""
    return merges.get(duplicate)
