"""What a node publishes about the frames to and from its peers."""

from ledger.node.metrics import Metrics
from ledger.sim.world import World


def test_a_node_publishes_what_its_transport_has_counted():
    with World(5) as world:
        world.start_all()
        ticket = world.submit("A")
        assert world.run_until(lambda: ticket.final, 30_000)
        node = world.node("A")
        for direction, volumes in (
            ("sent", node.links.traffic.sent),
            ("received", node.links.traffic.received),
        ):
            for kind, volume in volumes.items():
                labels = {"direction": direction, "kind": kind}
                value = node.service.metrics.get_sample_value
                assert value("ledger_peer_frames_total", labels) == volume.frames
                assert value("ledger_peer_bytes_total", labels) == volume.bytes
        network = world.network.traffic
        assert node.links.traffic.sent["Consensus"].bytes == network.sent_bytes["A", "Consensus"]
        assert network.received["A", "Consensus"] == node.links.traffic.received["Consensus"].frames


def test_counters_stand_at_nothing_before_there_are_links():
    labels = {"direction": "sent", "kind": "Blocks"}
    assert Metrics().registry.get_sample_value("ledger_peer_bytes_total", labels) == 0
