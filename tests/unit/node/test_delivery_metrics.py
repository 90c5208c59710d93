"""What a node publishes about deliveries to systems and to patients."""

from prometheus_client import generate_latest

from ledger.node.metrics import Metrics
from ledger.node.webhooks.standing import Standing


def test_every_subscription_and_lane_has_its_figures():
    metrics = Metrics()
    metrics.deliveries.source = lambda: [
        ("webhook", Standing("ab12", 7, 2, 3, True, 90.5)),
        ("notification", Standing("urgent", 5, 0, 0, False, 0.0)),
    ]

    def figures(kind, name):
        labels = {"kind": kind, "subscription": name}
        return [
            metrics.registry.get_sample_value(f"ledger_{figure}", labels)
            for figure in (
                "deliveries_total", "deliveries_refused", "delivery_failures",
                "deliveries_suspended", "delivery_age_seconds",
            )
        ]  # fmt: skip

    assert figures("webhook", "ab12") == [7, 2, 3, 1, 90.5]
    assert figures("notification", "urgent") == [5, 0, 0, 0, 0]
    assert figures("webhook", "urgent") == [None] * 5
    text = generate_latest(metrics.registry).decode()
    assert 'ledger_deliveries_total{kind="webhook",subscription="ab12"} 7.0' in text


def test_a_node_that_calls_nobody_publishes_no_figures_of_it():
    text = generate_latest(Metrics().registry).decode()
    assert "# TYPE ledger_delivery_age_seconds gauge" in text
    assert "ledger_delivery_age_seconds{" not in text
