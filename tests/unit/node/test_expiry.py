"""What runs out is named long before, for everything that this node depends on."""

from __future__ import annotations

import pytest
from peers import NOW
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from ledger.node.expiry import DAY_MS, WARN_SECONDS, ExpiryWatch
from ledger.node.metrics import Metrics
from ledger.node.net import admission
from ledger.node.net.membership import Membership
from ledger.node.net.pki import TlsKey
from tests.support.founded import Chain


def tls(chain: Chain, node: str) -> TlsKey:
    home = chain.consortium.home / "nodes" / node
    return TlsKey.load(home / "tls.key", home / "tls.crt", str)


class Watched:
    """A watch with a clock that is set by hand, in days before the node's certificate ends."""

    def __init__(self, chain: Chain) -> None:
        self.end = admission.expires(tls(chain, "east-1").certificate)
        self.now = self.end - 400 * DAY_MS
        self.membership = Membership(
            chain.replica.read, lambda: 0, tls(chain, "east-1"), clock=lambda: self.now
        )
        self.metrics = Metrics()
        self.watch = ExpiryWatch(
            "east-1", "east", self.membership, lambda: self.now, 60, self.metrics.certificate_expiry
        )

    def before(self, days: int) -> None:
        self.now = self.end - days * DAY_MS

    def metric(self, kind: str) -> float | None:
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value("ledger_certificate_expiry_seconds", {"kind": kind})


@pytest.fixture
def watched(chain: Chain) -> Watched:
    return Watched(chain)


def test_every_certificate_that_matters_is_listed_with_the_days_left(
    chain: Chain, watched: Watched
) -> None:
    watched.membership.admits(tls(chain, "south-1").certificate, watched.now)
    listed = watched.watch.certificates()
    kinds = [entry.kind for entry in listed]
    assert sorted(kinds) == ["authority", *["member-authority"] * 3, "node", "peer"]
    own = next(entry for entry in listed if entry.kind == "node")
    assert (own.days_left, own.soon) == (400, False)
    peer = next(entry for entry in listed if entry.kind == "peer")
    assert (peer.node, peer.institution) == ("south-1", "south")
    assert [entry.expires for entry in listed] == sorted(entry.expires for entry in listed)
    assert watched.watch.next().expires == watched.end


@pytest.mark.parametrize(("days", "soon"), [(61, False), (60, False), (59, True), (-1, True)])
def test_the_window_opens_sixty_days_before(watched: Watched, days: int, soon: bool) -> None:
    watched.before(days)
    own = next(entry for entry in watched.watch.certificates() if entry.kind == "node")
    assert (own.days_left, own.soon) == (days, soon)


def test_the_log_warns_once_a_day_and_says_when_it_is_too_late(watched: Watched) -> None:
    watched.before(10)
    with capture_logs() as logs:
        for now in (0.0, WARN_SECONDS - 1, WARN_SECONDS):
            watched.watch.look(now)
        watched.before(-2)
        watched.watch.look(2 * WARN_SECONDS)
    assert [line["event"] for line in logs] == [
        "certificate_runs_out", "certificate_runs_out", "certificate_ran_out",
    ]  # fmt: skip
    assert logs[0]["what"] == "TLS certificate of this node"
    assert logs[0]["days_left"] == 10


def test_there_is_a_metric_for_each_kind(chain: Chain, watched: Watched) -> None:
    watched.watch.look(0.0)
    assert watched.metric("node") == watched.end / 1000
    assert watched.metric("peer") is None
    authority = watched.metric("authority")
    assert authority is not None
    assert authority > NOW.timestamp()
    watched.membership.admits(tls(chain, "south-1").certificate, watched.now)
    watched.watch.look(1.0)
    assert watched.metric("peer") is not None
