"""Directory: where the node of an institution answers to the nodes of others.

An institution that holds records says under which URL its node takes requests for them. Nothing of
what is fetched there is believed because of the URL: requests are signed, answers are sealed, and
what a record says is held against its pointer.
"""

from ledger.contracts.prelude import Map, call, emit, export, height, init, now, query, require, signers

SCHEMES = ["https://", "http://"]
# Lower-case host names, addresses, ports and paths. No user names, no queries, no escapes.
URL_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-.:/[]_"
MAX_URL = 200

places = Map("places")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def announce(institution: str, url: str) -> None:
    """A records officer of an institution says where its node answers; no URL takes that back."""
    who = call("registry", "acting", key=signers()[0], institution=institution, roles=["records-officer"])
    if url == "":
        require(institution in places, "not_announced", "there is nothing to take back")
        del places[institution]
    else:
        require(well_formed(url), "bad_url", "https://host, with a port and a path if need be, and no / at the end")
        places[institution] = {"url": url, "by": who["id"], "height": height(), "time": now()}
    emit("announced", institution=institution, url=url)


def well_formed(url: str) -> bool:
    """Whether this is a scheme, a host and perhaps a port and a path, in lower case."""
    if len(url) > MAX_URL or not all([letter in URL_LETTERS for letter in url]):
        return False
    for scheme in SCHEMES:
        if url.startswith(scheme):
            parts = url[len(scheme):].split("/")
            return all([part != "" and part != "." and part != ".." for part in parts])
    return False


@query
def place(institution: str) -> dict | None:
    """Where an institution's node answers, who said so and when, or nothing."""
    return places.get(institution)
