"""The configuration of a consortium: one TOML file from which a network is founded.

The file is read once, by ``network init``. Afterwards members, validators and parameters live on
the chain and change by vote; the file has no more say.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from ledger.chain import limits
from ledger.chain.codec import Malformed, check_value
from ledger.chain.constitution import PARAMETER_BOUNDS, Parameters
from ledger.contracts.sources import LIBRARY
from ledger.node.setup.tomlfile import InvalidFile, Table, TomlDocument
from ledger.node.setup.tomllines import FieldPath

#: Fewer validators than this tolerate no fault at all (n = 3f + 1 with f = 1).
LEAST_VALIDATORS = 4

#: Contracts that every chain has; founding makes their arguments.
FOUNDING_CONTRACTS = (
    "governance",
    "charter",
    "policy",
    "parameters",
    "registry",
    "authorities",
    "evidence",
    "directory",
    "enquiry",
    "enrolment",
    "disclosures",
    "erasure",
    "corrections",
    "identity",
    "pseudonyms",
    "journals",
)

#: Roles that only one kind of institution can give to its people.
ROLE_NEEDS_KIND = {"auditor": "commission", "insurer": "insurer", "vendor-engineer": "vendor"}

InstitutionKind = Literal[
    "provincial-hospital", "city-hospital", "county-hospital", "township-centre",
    "community-centre", "village-station", "internet-hospital", "maternal-child", "cdc",
    "emergency-service", "pharmacy", "commission", "insurer", "research", "university", "vendor",
    "care-home", "hospice", "nursery", "school", "custody", "police", "civil-affairs", "employer",
    "charity", "patient-body", "other-department",
]  # fmt: skip
Language = Literal["en", "zh"]
NodeRole = Literal["validator", "observer"]
PersonRole = Literal[
    "patient", "physician", "nurse", "emergency-physician", "registrar", "governor", "auditor",
    "records-officer", "insurer", "researcher", "family-doctor", "village-doctor", "pharmacist",
    "public-health-officer", "social-worker", "care-worker", "liaison", "vendor-engineer",
    "ethics-officer", "supervisor",
]  # fmt: skip


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text) or len(text) > 40:
        raise ValueError("must be at most 40 small letters, digits and single hyphens")
    if text.startswith(("p-", "s-")):
        raise ValueError("must not start with p- or s-, which mark people")
    return text


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", text):
            raise ValueError("must be an IP address or a DNS name in small letters") from None
    return text


def _reference(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}", text):
        raise ValueError("must be a FHIR reference such as Patient/f001")
    return text


Identifier = Annotated[str, AfterValidator(_identifier)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Reference = Annotated[str, AfterValidator(_reference)]


def _both_languages() -> list[Language]:
    return ["en", "zh"]


class NetworkSection(Table):
    """``[network]``: names, languages, and where nodes listen that do not say it themselves.

    The first node without ports gets the base ports, the next one the base ports + 1, and so on.
    """

    name: Identifier
    title: Name
    title_zh: Name
    languages: list[Language] = Field(default_factory=_both_languages)
    host: Host = "127.0.0.1"
    peer_port: Port = 7100
    api_port: Port = 8100


class NodeSection(Table):
    """``[[institutions.nodes]]``: one node of the institution above it."""

    id: Identifier
    role: NodeRole
    host: Host | None = None
    peer_port: Port | None = None
    api_port: Port | None = None


class InstitutionSection(Table):
    """``[[institutions]]``: a member, or with ``count`` a group; see `ledger.node.setup.groups`.

    ``records``: the data sets of ``ledger/data`` that a demo puts into its vault; ``fhir``: the
    Organization in them which stands for it.
    """

    id: Identifier
    name: Name
    name_zh: Name
    kind: InstitutionKind
    county: Name
    records: list[Identifier] = Field(default_factory=list)
    fhir: Reference | None = None
    nodes: list[NodeSection] = Field(default_factory=list)


class PersonSection(Table):
    """``[[people]]``: a person with a key from the start. ``key`` is a local label; the chain sees
    a random id. ``fhir``: the Patient or Practitioner of the example data, or nothing."""

    key: Identifier
    institution: str
    roles: list[PersonRole]
    name: Name
    name_zh: Name
    fhir: Reference | None = None


class ContractSection(Table):
    """``[[contracts]]``: a contract beside governance and registry, with what its init gets."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class NodePlace(NamedTuple):
    """A node with everything filled in."""

    id: str
    institution: str
    role: NodeRole
    host: str
    peer_port: int
    api_port: int


class NetworkConfig(Table):
    """A whole configuration file. `load_config` also checks what single fields cannot show."""

    network: NetworkSection
    parameters: dict[str, int] = Field(default_factory=dict)
    institutions: list[InstitutionSection]
    people: list[PersonSection] = Field(default_factory=list)
    contracts: list[ContractSection] = Field(default_factory=list)

    def nodes(self) -> tuple[NodePlace, ...]:
        """All nodes in the order of the file, with the hosts and ports they get."""
        base = self.network
        pairs = [(member, node) for member in self.institutions for node in member.nodes]
        return tuple(
            NodePlace(
                node.id,
                member.id,
                node.role,
                node.host or base.host,
                node.peer_port or base.peer_port + number,
                node.api_port or base.api_port + number,
            )
            for number, (member, node) in enumerate(pairs)
        )

    def chain_parameters(self) -> dict[str, int]:
        """Every consensus parameter, with the default where the file is silent.

        Genesis gets them all: a later release with other defaults must not change old chains.
        """
        values = Parameters(**self.parameters)
        return {name: getattr(values, name) for name in PARAMETER_BOUNDS}

    def moved(self, *, peer_port: int, api_port: int) -> NetworkConfig:
        """The same network on other base ports, for one more copy on the same machine."""
        update = {"peer_port": peer_port, "api_port": api_port}
        return self.model_copy(update={"network": self.network.model_copy(update=update)})


def load_config(path: Path, known_contracts: Collection[str] = LIBRARY) -> NetworkConfig:
    """Read and check a configuration file.

    Args:
        path: the TOML file.
        known_contracts: names that ``[[contracts]]`` may use; the shipped library by default.

    Raises:
        InvalidFile: with one `Fault` (file, line, field) for everything that is wrong.
    """
    return _checked(TomlDocument.read(path), known_contracts)


def parse_config(
    text: str, file: str = "network.toml", known_contracts: Collection[str] = LIBRARY
) -> NetworkConfig:
    """As `load_config`, from text; ``file`` is the name that errors show."""
    return _checked(TomlDocument(file, text), known_contracts)


def _checked(document: TomlDocument, known_contracts: Collection[str]) -> NetworkConfig:
    document.spread_groups()
    config = document.parse(NetworkConfig)
    problems = [
        *_check_parameters(config),
        *_check_names(config),
        *_check_nodes(config),
        *_check_people(config),
        *_check_contracts(config, known_contracts),
    ]
    if problems:
        raise InvalidFile([document.fault(path, message) for path, message in problems])
    return config


Problem = tuple[FieldPath, str]


def _check_parameters(config: NetworkConfig) -> Iterator[Problem]:
    in_bounds = True
    for name, value in config.parameters.items():
        if name not in PARAMETER_BOUNDS:
            in_bounds = False
            yield ("parameters", name), f"is not one of {', '.join(PARAMETER_BOUNDS)}"
            continue
        low, high = PARAMETER_BOUNDS[name]
        if not low <= value <= high:
            in_bounds = False
            yield ("parameters", name), f"{value} is not between {low} and {high}"
    if in_bounds:
        values = config.chain_parameters()
        for small, large in (("view_timeout", "view_timeout_cap"), ("call_gas", "block_gas")):
            if values[small] > values[large]:
                where = small if small in config.parameters else large
                yield ("parameters", where), f"{small} must not be above {large}"


def _repeated(values: Iterable[tuple[FieldPath, object]], what: str) -> Iterator[Problem]:
    """A problem for every value that an earlier one equals."""
    first: dict[object, FieldPath] = {}
    for path, value in values:
        if value in first:
            yield path, f"the {what} {value!r} is used twice"
        first.setdefault(value, path)


def _check_names(config: NetworkConfig) -> Iterator[Problem]:
    members = list(enumerate(config.institutions))
    for field, what in (("id", "id"), ("name", "name"), ("name_zh", "name"), ("fhir", "reference")):
        yield from _repeated(
            (
                (("institutions", place, field), getattr(member, field))
                for place, member in members
                if getattr(member, field) is not None
            ),
            what,
        )
    yield from _repeated(
        (
            (("institutions", place, "records", number), name)
            for place, member in members
            for number, name in enumerate(member.records)
        ),
        "data set",
    )
    yield from _repeated(
        (
            (("network", "languages", place), code)
            for place, code in enumerate(config.network.languages)
        ),
        "language",
    )
    if not config.network.languages:
        yield ("network", "languages"), "at least one language is needed"


def _check_nodes(config: NetworkConfig) -> Iterator[Problem]:
    paths: list[FieldPath] = [
        ("institutions", place, "nodes", number)
        for place, member in enumerate(config.institutions)
        for number in range(len(member.nodes))
    ]
    nodes = config.nodes()
    members = {member.id for member in config.institutions}
    yield from _repeated(
        (((*path, "id"), node.id) for path, node in zip(paths, nodes, strict=True)), "node id"
    )
    for path, node in zip(paths, nodes, strict=True):
        if node.id in members:
            yield (*path, "id"), f"{node.id!r} is already the id of an institution"
        for field in ("peer_port", "api_port"):
            if getattr(node, field) > 65_535:
                yield (*path, field), f"counting up from the base port gives {getattr(node, field)}"
    yield from _repeated(
        (
            ((*path, field), f"{node.host}:{getattr(node, field)}")
            for path, node in zip(paths, nodes, strict=True)
            for field in ("peer_port", "api_port")
        ),
        "address",
    )
    validators = sum(node.role == "validator" for node in nodes)
    if validators < LEAST_VALIDATORS:
        yield (
            ("institutions",),
            f"{validators} of the nodes are validators; at least {LEAST_VALIDATORS} are needed, "
            "or not even one may fail",
        )
    if validators > limits.MAX_VALIDATORS:
        yield ("institutions",), f"{validators} validators; at most {limits.MAX_VALIDATORS}"


def _check_people(config: NetworkConfig) -> Iterator[Problem]:
    kinds = {member.id: member.kind for member in config.institutions}
    for place, person in enumerate(config.people):
        path: FieldPath = ("people", place)
        if person.institution not in kinds:
            yield (*path, "institution"), f"there is no institution {person.institution!r}"
            continue
        if not person.roles:
            yield (*path, "roles"), "at least one role is needed"
        if "patient" in person.roles and len(person.roles) > 1:
            yield (*path, "roles"), "a patient's pseudonym has no other role"
        kind = kinds[person.institution]
        for number, role in enumerate(person.roles):
            needed = ROLE_NEEDS_KIND.get(role, kind)
            if needed != kind:
                yield (*path, "roles", number), f"only a {needed} has a person with the role {role}"
        yield from _repeated(
            (((*path, "roles", number), role) for number, role in enumerate(person.roles)), "role"
        )
    for field, what in (("key", "key"), ("fhir", "reference")):
        yield from _repeated(
            (
                (("people", place, field), getattr(person, field))
                for place, person in enumerate(config.people)
                if getattr(person, field) is not None
            ),
            what,
        )
    governed = Counter(person.institution for person in config.people if "governor" in person.roles)
    for place, member in enumerate(config.institutions):
        votes = any(node.role == "validator" for node in member.nodes)
        if votes and not governed[member.id]:
            yield (
                ("institutions", place, "id"),
                f"{member.id!r} runs a validator but none of its people is a governor: "
                "it could never vote",
            )


def _check_contracts(config: NetworkConfig, known: Collection[str]) -> Iterator[Problem]:
    choice = sorted(set(known) - set(FOUNDING_CONTRACTS))
    for place, contract in enumerate(config.contracts):
        path: FieldPath = ("contracts", place, "name")
        if contract.name in FOUNDING_CONTRACTS:
            yield path, f"{contract.name!r} is always there and takes no arguments from a file"
        elif contract.name not in known:
            yield path, f"{contract.name!r} is not one of {', '.join(choice)}"
        for name, value in contract.arguments.items():
            try:
                check_value(value)
            except Malformed as error:
                yield ("contracts", place, "arguments", name), f"no value for a contract: {error}"
    yield from _repeated(
        (
            (("contracts", place, "name"), contract.name)
            for place, contract in enumerate(config.contracts)
        ),
        "contract",
    )
