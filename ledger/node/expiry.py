"""When which certificate runs out: for the status, the metrics, and warnings in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import Gauge

from ledger.node.answers import CertificateStatus, Expiry
from ledger.node.net.admission import InvalidAuthority, expires, read_authority
from ledger.node.net.membership import Membership

_log = structlog.get_logger(__name__)

DAY_MS: Final = 86_400_000
#: How often metrics are brought up to date, in seconds.
LOOK_SECONDS: Final = 3_600.0
#: How often the same warning is given: whoever looks at the log of any day finds it.
WARN_SECONDS: Final = 86_400.0

KINDS: Final = {
    "node": "TLS certificate of this node",
    "authority": "CA of this institution",
    "peer": "TLS certificate of {node}",
    "member-authority": "CA of {institution}",
}


class ExpiryWatch:
    """The certificates that matter to one node.

    Args:
        clock: milliseconds since 1970-01-01 UTC.
        warn_days: how long before its end a certificate is warned of.
        gauge: set for each kind to the first moment at which one of it runs out.
    """

    def __init__(
        self,
        node: str,
        institution: str,
        membership: Membership,
        clock: Callable[[], int],
        warn_days: int,
        gauge: Gauge,
    ) -> None:
        self._node = node
        self._institution = institution
        self._membership = membership
        self._clock = clock
        self._warn_days = warn_days
        self._gauge = gauge
        self._warned: dict[tuple[str, str, str], float] = {}

    def certificates(self) -> tuple[CertificateStatus, ...]:
        """All of them, the one that runs out first at the head."""
        membership = self._membership
        found = [
            self._entry("node", self._institution, self._node, expires(membership.tls_certificate))
        ]
        for institution, authorities in membership.authorities.items():
            own = institution == self._institution
            for authority in authorities:
                try:
                    last = expires(read_authority(institution, authority.pem))
                except InvalidAuthority:
                    continue  # it vouches for nobody, and its member was told by the refusals
                found.append(
                    self._entry("authority" if own else "member-authority", institution, "", last)
                )
        for node, last in membership.seen.items():
            if node in membership.roll.nodes and node != self._node:
                found.append(self._entry("peer", membership.roll.nodes[node], node, last))
        return tuple(sorted(found, key=lambda entry: (entry.expires, entry.kind, entry.node)))

    def _entry(self, kind: str, institution: str, node: str, last: int) -> CertificateStatus:
        days = (last - self._clock()) // DAY_MS
        return CertificateStatus(
            kind=kind,
            what=KINDS[kind].format(institution=institution, node=node),
            institution=institution,
            node=node,
            expires=last,
            days_left=days,
            soon=days < self._warn_days,
        )

    def next(self) -> Expiry:
        """What of this node itself runs out first."""
        own = (e for e in self.certificates() if e.kind in ("node", "authority"))
        first = next(own)
        what = f"{first.what} {self._node}" if first.kind == "node" else first.what
        return Expiry(what=what, expires=first.expires)

    def lapsed(self) -> str:
        """A sentence when this node's TLS certificate has run out; empty as long as it has not."""
        certificate = self._membership.tls_certificate
        if self._clock() <= expires(certificate):
            return ""
        day = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        return (
            f"The TLS certificate of this node ran out on {day}: "
            "renew it with health-ledger node renew-tls."
        )

    def look(self, now: float) -> None:
        """Set the metrics and warn of what runs out soon; ``now`` in seconds of the event loop."""
        first: dict[str, int] = {}
        for entry in self.certificates():
            first.setdefault(entry.kind, entry.expires)
            name = (entry.kind, entry.institution, entry.node)
            if entry.soon and now - self._warned.get(name, -WARN_SECONDS) >= WARN_SECONDS:
                self._warned[name] = now
                _log.warning(
                    "certificate_ran_out" if entry.days_left < 0 else "certificate_runs_out",
                    what=entry.what,
                    institution=entry.institution,
                    days_left=entry.days_left,
                )
        for kind, last in first.items():
            self._gauge.labels(kind).set(last / 1000)

    async def run(self) -> None:
        """Look every hour, until cancelled."""
        while True:
            self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(LOOK_SECONDS)
