"""The numbers that a node publishes for Prometheus; every metric is declared here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ledger.chain.block import Certificate, Header
from ledger.contracts.blocks import Executed
from ledger.node.net.connection import Traffic
from ledger.node.webhooks.standing import Standing


class PeerTraffic(Collector):
    """Frames and bytes to and from peers, read from the transport when somebody asks."""

    def __init__(self) -> None:
        self.traffic = Traffic()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The counters of the transport, by direction and kind of frame."""
        labels = ("direction", "kind")
        frames = CounterMetricFamily(
            "ledger_peer_frames", "Frames to and from peers.", None, labels
        )
        size = CounterMetricFamily("ledger_peer_bytes", "Bytes of those frames.", None, labels)
        directions = {"sent": self.traffic.sent, "received": self.traffic.received}
        for direction, volumes in directions.items():
            for kind, volume in volumes.items():
                frames.add_metric((direction, kind), volume.frames)
                size.add_metric((direction, kind), volume.bytes)
        yield frames
        yield size


class Deliveries(Collector):
    """How deliveries to systems and to patients stand, read when somebody asks."""

    def __init__(self) -> None:
        #: Gives each subscription and lane with its kind, ``webhook`` or ``notification``.
        self.source: Callable[[], Sequence[tuple[str, Standing]]] = tuple

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """By kind and subscription; a lane of messages is a subscription, too."""
        labels = ("kind", "subscription")
        taken = CounterMetricFamily(
            "ledger_deliveries", "Events that receivers have taken.", None, labels
        )
        refused, failures, suspended, age = (
            GaugeMetricFamily(f"ledger_{name}", text, None, labels)
            for name, text in (
                ("deliveries_refused", "Events that were refused for good and are kept aside."),
                ("delivery_failures", "Failed attempts at the event that waits."),
                ("deliveries_suspended", "1 where deliveries are suspended."),
                ("delivery_age_seconds", "Since the block of the event that waits; 0: none does."),
            )
        )
        for kind, standing in self.source():
            names = (kind, standing.id)
            taken.add_metric(names, standing.delivered)
            refused.add_metric(names, standing.refused)
            failures.add_metric(names, standing.failures)
            suspended.add_metric(names, standing.suspended)
            age.add_metric(names, standing.age_s)
        yield from (taken, refused, failures, suspended, age)


class Metrics:
    """One registry per node, so that several nodes can live in one test process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.peer_traffic = PeerTraffic()
        self.registry.register(self.peer_traffic)
        self.deliveries = Deliveries()
        self.registry.register(self.deliveries)
        self.height = self._gauge("height", "Height of the newest final block.")
        self.view = self._gauge("view", "View of the height that is being decided.")
        self.block_time = self._gauge("block_time_seconds", "Time of the newest final block.")
        self.pending = self._gauge("pending_transactions", "Transactions waiting for a block.")
        self.peers = self._gauge("peers_connected", "Peers connected now.")
        self.certificate_expiry = Gauge(
            "ledger_certificate_expiry_seconds",
            "When the first certificate of a kind runs out.",
            ("kind",),
            registry=self.registry,
        )
        self.findings = self._gauge("findings", "Findings about validators on the chain.")
        self.blocks = self._counter("blocks", "Blocks stored since the start.")
        self.transactions = self._counter("transactions", "Transactions in those blocks.")
        self.refused = Counter(
            "ledger_refused_transactions",
            "Transactions refused before they were ordered.",
            ("code",),
            registry=self.registry,
        )
        self.view_changes = self._counter("view_changes", "Views left without a decision.")
        self.accusations = self._counter("accusations", "Faults of peers that were noticed.")
        self.anchoring = self._gauge(
            "anchoring_time_seconds", "When the source of records was last looked through."
        )
        self.records = self._gauge_by("records", "Records in the vault.", "state")
        self.anchoring_done = self._gauge_by("anchoring_done", "How far a pass is.", "step")
        self.anchoring_total = self._gauge_by(
            "anchoring_total", "Of how much, 0 where that is not known.", "step"
        )
        self.discrepancies = self._gauge_by(
            "discrepancies", "What did not fit when releases were last compared.", "kind"
        )
        self.released = self._counter("records_released", "Releases written down.")
        self.record_bytes = self._counter("records_released_bytes", "Sealed bytes handed out.")
        self.withheld = self._counter("records_withheld", "Requests for records turned down.")
        self.altered = self._counter("records_altered", "Records found changed at the holder.")
        self.commit_seconds = Histogram(
            "ledger_block_seconds",
            "From a block's time to its being stored here.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )

    def stands_at(self, header: Header) -> None:
        """The newest final block is another one."""
        self.height.set(header.height)
        self.block_time.set(header.time / 1000)

    def stored(self, executed: Executed, certificate: Certificate, now: int) -> None:
        """A block was stored; ``now`` in milliseconds since 1970 UTC."""
        header = executed.block.header
        self.stands_at(header)
        self.blocks.inc()
        self.transactions.inc(len(executed.transactions))
        self.view_changes.inc(certificate.view)
        self.commit_seconds.observe(max(0, now - header.time) / 1000)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"ledger_{name}", text, registry=self.registry)

    def _gauge_by(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(f"ledger_{name}", text, (label,), registry=self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"ledger_{name}", text, registry=self.registry)
