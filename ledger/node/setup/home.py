"""A node home: the directory with everything that one node needs, and with nothing shared."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ledger.chain.archive import MAX_BLOCKS
from ledger.chain.codec import Malformed
from ledger.chain.database.address import parse_address
from ledger.chain.genesis import Genesis, read_genesis
from ledger.chain.retention import FILE_BLOCKS, Retention
from ledger.crypto.keyfile import load_key
from ledger.crypto.keys import SigningKey
from ledger.node.net.pki import TlsKey
from ledger.node.setup.config import Host, Port
from ledger.node.setup.passkeys import PasskeysSection
from ledger.node.setup.signin import SignInSection
from ledger.node.setup.tomlfile import InvalidFile, Table, TomlDocument
from ledger.node.webhooks.address import AllowList, Forbidden, read_url

#: A node executes so many small blocks in a few minutes, and keeps the history that way.
SNAPSHOT_AFTER = 10_000


class HomeInUse(Exception):
    """Another process works in this node home."""


class InvalidHome(Exception):
    """A home without a file it needs, or with one that cannot be read."""


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError("must be host:port")
    if not 1 <= int(port) <= 65_535:
        raise ValueError("the port must be between 1 and 65535")
    return text


def _database(text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise PydanticCustomError("secret", "{why}", {"why": str(error)}) from None
    return text


ChainId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class NodeSection(Table):
    """``[node]``. Members that joined by vote may have ids which a configuration would not give."""

    id: ChainId
    institution: ChainId


class ListenSection(Table):
    """``[peer]`` and ``[api]``: the address to listen on."""

    host: Host
    port: Port


class StoreSection(Table):
    """``[store]``: the URL of an SQLite file, relative to the home or absolute, or of a PostgreSQL
    database.

    ``keep_blocks``: how many of the newest blocks stay in it, all if absent. ``archive``: where
    the others go, relative to the home or absolute, ``archive_blocks`` to a file.
    """

    url: Annotated[str, AfterValidator(_database)]
    keep_blocks: Annotated[int, Field(ge=1)] | None = None
    archive: str = "archive"
    archive_blocks: Annotated[int, Field(ge=1, le=MAX_BLOCKS)] = FILE_BLOCKS


class ReadingSection(Table):
    """``[reading]``: the URL of the database of the index, as that of the store, and never the same
    file or schema. It can be thrown away."""

    url: Annotated[str, AfterValidator(_database)] = "sqlite:///data/reading.db"


class FhirSection(Table):
    """``[vault.fhir]``: a FHIR R4 server with records.

    ``url``: its base. ``types``: resource types to ask for, those of
    `ledger.node.vault.fhirserver.TYPES` if absent. ``credentials``: file with
    ``{"bearer": …}`` or ``{"username": …, "password": …}``. ``ca``: file of certificates in PEM.
    ``by_patient``: ask for the patients of ``subjects.json`` one by one. ``full_days``: after how
    many days a pass asks for everything again. Files are relative to the home or absolute.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]{1,300}$")]
    types: list[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]{1,63}$")]] = Field(
        default_factory=list
    )
    credentials: str | None = None
    ca: str | None = None
    by_patient: bool = False
    full_days: Annotated[int, Field(ge=1, le=365)] = 7


class VaultSection(Table):
    """``[vault]``: where records come from.

    ``records``: a directory, relative to the home or absolute. ``rescan_minutes``: how often the
    sources are looked through. ``fhir``: a server beside the directory.
    """

    records: str
    rescan_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    fhir: FhirSection | None = None


class CertificatesSection(Table):
    """``[certificates]``: how many days before its end a certificate is warned of."""

    warn_days: Annotated[int, Field(ge=1, le=3650)] = 60


class SyncSection(Table):
    """``[sync]``: with more than ``snapshot_after`` blocks missing, a node takes a snapshot of the
    state instead of executing them all."""

    snapshot_after: Annotated[int, Field(ge=0, le=10**12)] = SNAPSHOT_AFTER


class ExchangeSection(Table):
    """``[exchange]``: how records move between this node and those of others.

    ``url``: where others reach this node's API, announced on the chain. ``ca``: a file of
    certificates in PEM, relative to the home or absolute, that others' servers are held against;
    the operating system's if absent.
    """

    url: Annotated[str, Field(pattern=r"^https?://[a-z0-9._:/\[\]-]{1,190}[a-z0-9\]]$")] | None = (
        None
    )
    ca: str | None = None


def _web_address(text: str) -> str:
    read_url(text)
    return text


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


class WebhooksSection(Table):
    """``[webhooks]``: which addresses this node may be told to call; none if absent.

    ``allow``: URLs with which the address of a subscription has to begin. ``private``: networks
    beyond the public Internet in which it may be. ``authorities``: a file of certificates to trust
    instead of the system's, relative to the home or absolute. ``give_up_hours``: for how long one
    event is tried before its subscription is suspended.
    """

    allow: list[Annotated[str, AfterValidator(_web_address)]]
    private: list[Annotated[str, AfterValidator(_network)]] = Field(default_factory=list)
    authorities: str | None = None
    give_up_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 72


class NotificationsSection(Table):
    """``[notifications]``: where the messages to patients go that say that there is news.

    ``url``: of the gateway, on the list of ``[webhooks]``. ``channel``: one of an installed package
    instead, with its ``settings``.
    """

    url: Annotated[str, AfterValidator(_web_address)] | None = None
    channel: str | None = None
    settings: dict[str, str] = Field(default_factory=dict)


class NodeSettings(Table):
    """``node.toml``. ``peers``: node id → ``host:port``. Nothing here can make nodes disagree."""

    node: NodeSection
    peer: ListenSection
    api: ListenSection
    store: StoreSection
    reading: ReadingSection = ReadingSection()
    vault: VaultSection
    certificates: CertificatesSection = Field(default_factory=CertificatesSection)
    sync: SyncSection = SyncSection()
    signin: SignInSection = Field(default_factory=SignInSection)
    exchange: ExchangeSection = ExchangeSection()
    webhooks: WebhooksSection | None = None
    notifications: NotificationsSection | None = None
    passkeys: PasskeysSection = Field(default_factory=PasskeysSection)
    peers: dict[str, Annotated[str, AfterValidator(_address)]]


@dataclass(frozen=True, slots=True)
class NodeHome:
    """A node home and its settings."""

    path: Path
    settings: NodeSettings

    @property
    def node(self) -> str:
        return self.settings.node.id

    @property
    def institution(self) -> str:
        return self.settings.node.institution

    @property
    def store_url(self) -> str:
        """The database URL with an absolute path where it is a file."""
        return self._database_url(self.settings.store.url)

    @property
    def reading_url(self) -> str:
        """The same for the index of `ledger.node.reading`."""
        return self._database_url(self.settings.reading.url)

    def _database_url(self, text: str) -> str:
        url = parse_address(text)
        if url.get_backend_name() == "sqlite":
            url = url.set(database=str(self.path / str(url.database)))
        return url.render_as_string(hide_password=False)

    @property
    def archive(self) -> Path:
        """The directory of archive files."""
        return self.path / self.settings.store.archive

    @property
    def retention(self) -> Retention | None:
        """How many blocks the store keeps; None for all."""
        store = self.settings.store
        if store.keep_blocks is None:
            return None
        return Retention(store.keep_blocks, self.archive, store.archive_blocks)

    @property
    def records(self) -> Path:
        """The directory of the institution's FHIR resources."""
        return self.path / self.settings.vault.records

    @property
    def events_index(self) -> Path:
        """The index of events; it follows from the store and can be thrown away."""
        return self.path / "events.db"

    @property
    def signer(self) -> Path:
        """The directory of the watermark; it must not be restored together with the database."""
        return self.path / "signer"

    @property
    def staff(self) -> Path:
        """The directory of the keys that the node holds for its institution's staff."""
        return self.path / "staff"

    @property
    def roll(self) -> Path:
        """The file that says whose login at the identity provider is whose."""
        return self.staff / "roll.json"

    @property
    def signin(self) -> Path:
        """The directory of sessions, operators and the log of sign-ins."""
        return self.path / "signin"

    @property
    def api_url(self) -> str:
        host = self.settings.api.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.api.port}"

    def genesis(self) -> Genesis:
        """The genesis file; raises `InvalidHome`."""
        path = self.path / "genesis.json"
        try:
            return read_genesis(path)
        except OSError as error:
            raise InvalidHome(f"{path}: cannot read: {error.strerror}") from None
        except Malformed as error:
            raise InvalidHome(f"{path}: {error}") from None

    def signing_key(self, passphrase: Callable[[], str]) -> SigningKey:
        """The key that signs votes and transactions; raises `KeyFileError`."""
        return load_key(self.path / "node.key", passphrase)

    @property
    def next_key(self) -> Path:
        """Where the signing key lies that is to take over from `signing_key` at a height."""
        return self.path / "node.next.key"

    def tls_key(self, passphrase: Callable[[], str]) -> TlsKey:
        """Key and certificate for connections; raises `KeyFileError`."""
        return TlsKey.load(self.path / "tls.key", self.path / "tls.crt", passphrase)


def load_home(path: Path) -> NodeHome:
    """Open a node home; raises `InvalidFile` naming line and field of what is wrong."""
    document = TomlDocument.read(path / "node.toml")
    settings = document.parse(NodeSettings)
    if settings.node.id in settings.peers:
        message = "the node itself is not one of its peers"
        raise InvalidFile([document.fault(("peers", settings.node.id), message)])
    notifications, webhooks = settings.notifications, settings.webhooks
    if notifications is not None:
        if (notifications.url is None) == (notifications.channel is None):
            message = "give either a url or a channel"
            raise InvalidFile([document.fault(("notifications",), message)])
        if notifications.url is not None:
            try:
                AllowList([] if webhooks is None else webhooks.allow).check(notifications.url)
            except Forbidden as error:
                fault = document.fault(("notifications", "url"), str(error))
                raise InvalidFile([fault]) from None
    if (settings.peer.host, settings.peer.port) == (settings.api.host, settings.api.port):
        message = "peers and API cannot share one port"
        raise InvalidFile([document.fault(("api", "port"), message)])
    return NodeHome(path.absolute(), settings)


@contextlib.contextmanager
def claim_home(home: NodeHome | Path) -> Iterator[None]:
    """Hold a node home for this process alone.

    The operating system releases the lock when the process ends, however it ends. Two processes on
    one home would sign two different votes for one height.

    Raises:
        HomeInUse: another process holds it.
        InvalidHome: the lock file cannot be made.
    """
    path = home.path if isinstance(home, NodeHome) else home
    if not path.is_dir():
        raise InvalidHome(f"{path}: cannot lock: there is no such directory")
    lock = FileLock(path / "node.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise HomeInUse(f"{path}: another process already runs this node") from None
    except OSError as error:
        raise InvalidHome(f"{path}: cannot lock: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
