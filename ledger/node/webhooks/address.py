"""Which addresses a node may be told to call.

A subscription makes the node send requests, so its address is checked twice: as text, against the
list of the node's operator, when it is made and before every attempt; and as the IP address that
its name stands for, at the moment of connecting. The connection goes to the very address that was
checked, so a name that answers differently the second time gains nothing (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpcore

MAX_URL: Final = 2048
_PLAIN: Final = re.compile(r"[\x21-\x7e]+")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Prefixes in which an IPv6 address carries an IPv4 one that somebody else unpacks.
_CARRIERS: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


class Forbidden(ValueError):
    """An address that this node does not call, with the reason."""


class Target(NamedTuple):
    """A web address, taken apart. ``path`` includes the query."""

    host: str
    port: int
    path: str


def read_url(text: str) -> Target:
    """Take an ``https`` URL apart; raises `Forbidden` for anything odd about it."""
    if len(text) > MAX_URL or not _PLAIN.fullmatch(text) or "\\" in text:
        raise Forbidden(f"a URL has up to {MAX_URL} printable ASCII characters")
    try:
        parts = urlsplit(text)
        port = parts.port or 443
    except ValueError:
        raise Forbidden("not a URL") from None
    if parts.scheme != "https":
        raise Forbidden("only https")
    if "@" in parts.netloc or "#" in text:
        raise Forbidden("no user names and no fragments")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) and not _is_ip(host):
        raise Forbidden("not the name of a host")
    segments = re.split(r"/|%2f|%5c", parts.path.lower())
    if any(segment.replace("%2e", ".") in (".", "..") for segment in segments):
        raise Forbidden("no dots as parts of the path")
    return Target(
        host.lower(), port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class AllowList:
    """The operator's list.

    Args:
        prefixes: URLs; one that begins with another's host, port and whole parts of its path is
            allowed. None allows nothing.
        private: networks beyond the public Internet that may be called.

    Raises:
        ValueError: not a URL, or not a network.
    """

    def __init__(self, prefixes: Iterable[str], private: Iterable[str] = ()) -> None:
        self._prefixes = [read_url(prefix) for prefix in prefixes]
        self._private: list[Network] = [ipaddress.ip_network(text) for text in private]

    def check(self, url: str) -> Target:
        """The parts of a URL that may be called; raises `Forbidden`."""
        target = read_url(url)
        for allowed in self._prefixes:
            stem = allowed.path.rstrip("/")
            if (target.host, target.port) == (allowed.host, allowed.port) and (
                target.path == allowed.path or target.path.startswith((f"{stem}/", f"{stem}?"))
            ):
                return target
        raise Forbidden("not on the list of this node's operator")

    def check_address(self, text: str) -> str:
        """An IP address that may be connected to; raises `Forbidden`."""
        try:
            address: Address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            raise Forbidden("not an IP address") from None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(
            address in network for network in self._private if network.version == address.version
        ):
            return str(address)
        carried = address.version == 6 and any(address in network for network in _CARRIERS)
        if carried or not address.is_global or address.is_multicast or address.is_reserved:
            raise Forbidden("an address inside a network that is not public")
        return str(address)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, checks every address, and connects to one of those."""

    def __init__(
        self, allowed: AllowList, inner: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._allowed = allowed
        self._inner = inner or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = [self._allowed.check_address(text) for text in await self.resolve(host, port)]
        if not addresses:
            raise httpcore.ConnectError("the name stands for no address")
        return await self._inner.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from None
        return [str(entry[4][0]) for entry in found]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise Forbidden("no sockets of this machine")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
