"""A node process from start to end: its home, its store, the node and its HTTP interface."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from ledger.api.app import create_app
from ledger.api.bounded import raise_file_limit
from ledger.api.guard import check_binding
from ledger.api.passkeys.codes import CodesUnusable
from ledger.api.passkeys.opening import open_desk
from ledger.api.server import serving
from ledger.api.signin.clients import Clients, ClientsUnusable
from ledger.api.signin.operators import Operators, OperatorsUnusable
from ledger.api.signin.signin import SignIn, is_protected
from ledger.api.signin.store import StoreUnusable as SignInUnusable
from ledger.chain import fsck
from ledger.chain.codec import Malformed
from ledger.chain.database import StoreError, StoreUnusable
from ledger.chain.store import Store
from ledger.crypto.keyfile import KeyFileError
from ledger.node.clock import now_ms
from ledger.node.custody import Custody
from ledger.node.journal import JournalBroken
from ledger.node.marking import SIGN_IN, keep_marked
from ledger.node.node import Node
from ledger.node.reading.index import ReadingIndex
from ledger.node.reading.keeping import open_index
from ledger.node.renewal import Renewal
from ledger.node.roll import StaffRoll
from ledger.node.setup.home import HomeInUse, InvalidHome, NodeHome, claim_home, load_home
from ledger.node.setup.tomlfile import InvalidFile
from ledger.node.signing.joining import IdentityInUse
from ledger.node.vault.tables import VaultUnusable

_log = structlog.get_logger(__name__)

#: Collections of the oldest generation are rare: most of what lives long is bytes in flat tables.
_GC_THRESHOLDS = (50_000, 20, 100)


class CannotRun(Exception):
    """Why a node process ended or did not start, in one sentence for its operator."""


def run(
    path: Path, passphrase: Callable[[], str], token: str | None, *, development: bool = False
) -> None:
    """Run the node of a home until SIGINT or SIGTERM.

    Args:
        path: the home.
        passphrase: opens its keys.
        token: the token of the operator ``api``, if there is to be one.
        development: nobody signs in, and callers are whom they say; on loopback only.

    Raises:
        CannotRun: it could not start, or had to stop.
    """
    _configure_logging()
    raise_file_limit()
    try:
        home = load_home(path)
        operators = Operators(home.signin / "operators.json", token)
        clients = Clients(home.signin / "clients.json")
        protected = is_protected(home.settings.signin, operators, clients)
        check_binding(home.settings.api.host, token, protected=protected, development=development)
        with claim_home(home):
            store = Store.open(home.store_url, create=True)
            try:
                fsck.check(store)
                with contextlib.closing(open_index(home)) as index:
                    _loop_runner()(
                        _serve(home, store, index, passphrase, token, development=development)
                    )
            finally:
                store.close()
    except (InvalidFile, InvalidHome, HomeInUse, KeyFileError, Malformed) as error:
        raise CannotRun(str(error)) from error
    except StoreUnusable as error:
        raise CannotRun(f"{path}: {error}; see health-ledger node check") from error
    except (
        SignInUnusable,
        JournalBroken,
        OperatorsUnusable,
        ClientsUnusable,
        CodesUnusable,
    ) as error:
        raise CannotRun(str(error)) from error
    except (IdentityInUse, StoreError, VaultUnusable, ValueError, OSError) as error:
        raise CannotRun(f"{path}: {error}") from error


async def _serve(
    home: NodeHome,
    store: Store,
    index: ReadingIndex,
    passphrase: Callable[[], str],
    token: str | None,
    *,
    development: bool,
) -> None:
    node = Node(
        home,
        store,
        home.signing_key(passphrase),
        home.tls_key(passphrase),
        custody=Custody(home.staff, passphrase),
        index=index,
    )
    renewal = Renewal(home, node, passphrase)
    await renewal.look()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, renewal.look_now)
    signin = SignIn(
        home.settings.signin,
        home.signin,
        node.service,
        StaffRoll(home.roll),
        url=home.api_url,
        token=token,
        development=development,
    )
    passkeys = open_desk(home.settings.passkeys, home.signin, signin)
    app = create_app(node.service, signin=signin, passkeys=passkeys)
    await node.start()
    try:
        api = home.settings.api
        async with serving(app, api.host, api.port) as url:
            _log.info("api_listening", url=url, development=development)
            failure = asyncio.create_task(node.run())
            stop = asyncio.create_task(stopping.wait())
            renewing = asyncio.create_task(renewal.run())
            marking = asyncio.create_task(
                keep_marked(
                    node.node, SIGN_IN, signin.journal, now_ms, node.service.ask, node.agent.perform
                )
            )
            parts = (failure, renewing, marking, stop)
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part is not stop and part.done():
                    part.result()
                part.cancel()
    finally:
        signin.close()
        await node.close()
        _log.info("node_stopped", node=node.node)


def _loop_runner() -> Callable[..., None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def _configure_logging() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line in one write: a process that is killed leaves none without its end, on which the
        # next one's first line would follow.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
